#!/bin/sh
# Pid 1 of the virtual host: the machine's own root, read-only, with a cgroup v2 tree of its own.
# Called by the kernel. The command to run is in the file that $job names, its exit code goes to the console; $keep
# names directories of the machine, with colons between them, that must stay to be seen.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
keep=$(echo "$keep" | tr : ' ')
# /tmp and /var/tmp become its own, but for what the job needs of them.
number=0
for path in $keep; do
    number=$((number + 1))
    mkdir -p "/run/keep/$number"
    mount --bind "$path" "/run/keep/$number"
done
for place in /var/tmp /tmp; do mount -t tmpfs -o mode=1777 tmpfs "$place"; done
number=0
for path in $keep; do
    number=$((number + 1))
    mkdir -p "$path"
    mount --bind "/run/keep/$number" "$path"
done
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8
sh "$job"
echo "virtual host: exit $?"
echo o >/proc/sysrq-trigger
sleep 10
