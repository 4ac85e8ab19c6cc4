# shellcheck shell=bash
# scratch NAME: mounts a new ext4 on a loop file at $lab/NAME and sets $work to it; unscratch takes it away again.
#
# ext4 does not use an inode again for some minutes after its deletion and steps over such inodes one by one: who restores
# after an `rm -rf` of many files measures that. A file system of its own is always new, and costs nothing to delete.
scratch() {
  work=${lab:?}/$1
  unscratch
  truncate -s 24G "$work.img"
  mkfs.ext4 -q -F -m 0 -i 8192 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$work.img"
  mkdir -p "$work"
  mount -o loop,noatime,noinit_itable "$work.img" "$work"
  mkdir "$work/repo" "$work/cache" "$work/restore"
}

unscratch() {
  if mountpoint -q "$work"; then umount "$work"; fi
  rm -f "$work.img"
}
