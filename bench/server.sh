# shellcheck shell=bash
# start_server: a service of the adapter `strongroom`, on $PORT, with its data in $REPO; stop_server ends it. $server is its process.
start_server() {
  (. "$here/adapters/strongroom.sh"; t_server) > "$CACHE/server.log" 2>&1 &
  server=$!
  trap 'kill $server 2> /dev/null || true; wait $server 2> /dev/null || true' EXIT
}

stop_server() {
  kill $server
  wait $server || true
  trap - EXIT
}

server_cpu() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' "/proc/$server/stat"; }
