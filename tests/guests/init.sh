#!/bin/busybox sh
# The first and only program of a guest: sets it up, then obeys what comes over the first serial port.
#   in:  one line, a shell command
#   out: "<", its output in base64, its exit status, ">"
/bin/busybox mkdir -p /bin /proc /sys /dev /tmp /run
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod "/modules/$module"; done

# What udev would do.
mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
    [ -e "$port/name" ] && ln -sf "../${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
done

# fb.net=ADDRESS/LENGTH@FIRST-BYTES-OF-THE-MAC, once for each interface
ip link set lo up
for word in $(cat /proc/cmdline); do
    case $word in fb.net=*)
        word=${word#fb.net=}
        for card in /sys/class/net/*; do
            case $(cat "$card/address") in "${word#*@}"*)
                ip link set "${card##*/}" up
                ip addr add "${word%@*}" dev "${card##*/}"
                ip route add 224.0.0.0/4 dev "${card##*/}" 2>/dev/null ;;
            esac
        done ;;
    esac
done

exec </dev/ttyS0 >/dev/ttyS0 2>/dev/null
stty raw -echo
echo "ready"
while read -r line; do
    output=$(sh -c "$line" 2>&1 </dev/null; echo "=$?")
    echo "<$(printf '%s' "$output" | base64 -w 0)>"
done
poweroff -f
