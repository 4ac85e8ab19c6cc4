# shellcheck shell=bash
# strongroom: a real service over HTTPS on 127.0.0.1:$PORT with its own certificate authority; a registered machine.
# $STRONGROOM names the binary; ./run sets it. There is no local mode: a folder is always backed up through a service.
T=${STRONGROOM:?names the binary}
export STRONGROOM_CONFIG=$CACHE/admin STRONGROOM_STATE=$CACHE/state
[ "$SETTING" = matched ] && export STRONGROOM_COMPRESSION=1
t_version() { $T --version; }
t_server()  { exec $T --quiet serve --data "$REPO" --listen "127.0.0.1:$PORT"; }
t_init()    {
  [ "$MODE" = remote ] || { echo "strongroom runs in the mode remote only"; return 1; }
  # The port opens when everything of a first start is on the disk.
  for _ in $(seq 200); do (exec 3<> "/dev/tcp/127.0.0.1/$PORT") 2> /dev/null && break; sleep 0.05; done
  echo "a passphrase for the bench" > "$CACHE/passphrase" &&
  $T --quiet login "https://127.0.0.1:$PORT" --ca "$REPO/tls/ca.pem" --user admin --password-file "$REPO/admin-password" &&
  $T --quiet vault create bench &&
  $T --quiet vault credentials bench --output "$CACHE/credentials" &&
  $T --quiet agent register --credentials "$CACHE/credentials" --passphrase-file "$CACHE/passphrase" --name bench
}
# Caches are taken too, as the rivals take them.
t_backup()  { $T --json backup --include-caches "$1"; }
t_restore() { $T --json restore latest --to "$1"; }      # "$1/$SOURCE"; compare.py looks there
t_verify()  { $T --json verify latest; }
