# Run in the guest by its agent, as `sh -c THIS ramet identity|network|finish ARGUMENT...`: makes a clone somebody of its own.
# It says what it found when it looked again, in lines `NAME=VALUE`. Everything may be done twice, or end in the middle.
# POSIX shell; what is not everywhere is asked for first.

state=/var/lib/ramet
umask 022
has() { command -v "$1" >/dev/null 2>&1; }
say() { printf '%s=%s\n' "$1" "$2"; }

# One at a time: a copy of a machine may also have inherited one in the middle of its work. Whoever was killed left his
# number behind.
alone() {
  mkdir -p "$state"
  tries=0
  until (set -C; echo $$ >"$state/busy") 2>/dev/null; do
    other=$(cat "$state/busy" 2>/dev/null)
    if grep -qs ramet "/proc/$other/cmdline" && [ $((tries += 1)) -lt 60 ]; then sleep 1; else rm -f "$state/busy"; fi
  done
  trap 'rm -f "$state/busy"' EXIT
}

# Random numbers come first, for keys are made of them. The bytes are unique; they count from the reseeding on, which the
# kernel does at once when asked by ioctl (RNDRESEEDCRNG), or by itself when it sees another VM generation id.
random_numbers() {
  cat >/dev/urandom
  if reseed; then say rng reseeded; else say rng "$(forked)"; fi
}

reseed() {
  if has perl; then perl -e 'open(F, ">", "/dev/urandom") && defined(ioctl(F, 0x5207, 0)) or exit 1' && return; fi
  has python3 && python3 -c 'import fcntl; fcntl.ioctl(open("/dev/urandom", "wb"), 0x5207)'
} 2>/dev/null

# The kernel says when it saw the new id: so many seconds ago. What it said before the clone was cut off was said to its source.
forked() {
  dmesg 2>/dev/null | awk -v up="$(cut -d ' ' -f 1 /proc/uptime)" '
    /crng reseeded due to virtual machine fork/ { gsub(/[][]/, " "); at = ($1 ~ /^</) ? $2 : $1; found = 1 }
    END { print found ? "forked " up - at : "shared" }'
}

# /etc/hosts names the machine too, in lines of its own addresses.
set_hostname() {
  old=$(cat /proc/sys/kernel/hostname)
  echo "$1" >/etc/hostname
  echo "$1" >/proc/sys/kernel/hostname
  if [ "$old" != "$1" ] && [ -e /etc/hosts ]; then
    awk -v old="$old" -v new="$1" '
      /^(127\.|::1)/ { for (i = 2; i <= NF; i++) if ($i == old || index($i, old ".") == 1) $i = new substr($i, length(old) + 1) }
      { print }' /etc/hosts >"$state/hosts" && cat "$state/hosts" >/etc/hosts
    rm -f "$state/hosts"
  fi
  say hostname "$(cat /proc/sys/kernel/hostname)"
  say hostname-file "$(cat /etc/hostname)"
}

set_machine_id() {
  [ -e /etc/machine-id ] || { say machine-id none; return; }
  if [ "$(cat /etc/machine-id)" != "$1" ]; then
    echo "$1" >/etc/machine-id.new && chmod 444 /etc/machine-id.new && mv /etc/machine-id.new /etc/machine-id
    if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ]; then echo "$1" >/var/lib/dbus/machine-id; fi
    # It tells DHCP servers who it is by the machine-id that it read when it began.
    if has systemctl; then systemctl try-restart systemd-networkd >/dev/null 2>&1; fi
  fi
  say machine-id "$(cat /etc/machine-id)"
}

host_keys() {
  for key in /etc/ssh/ssh_host_*_key /etc/dropbear/*; do
    if [ -f "$key" ] && kind_of "$key"; then echo "$key"; fi
  done
}

kind_of() {
  case ${1##*/} in
    *ed25519*) kind=ed25519 ;;
    *ecdsa*) kind=ecdsa ;;
    *rsa*) kind=rsa ;;
    *dsa* | *dss*) kind=dsa ;;
    ssh_host_*) kind=unknown ;;
    *) return 1 ;;
  esac
}

# New keys of the kinds that are there. Who made them is noted last, so that half a set is made anew.
set_host_keys() {
  if [ "$(cat "$state/host-keys-of" 2>/dev/null)" = "$1" ]; then say ssh-host-keys own; return; fi
  rm -rf "$state/keys"
  mkdir -p -m 700 "$state/keys"
  made=own
  for key in $(host_keys); do new_key "$key" || made=shared; done
  rm -rf "$state/keys"
  if [ "$made" = own ] && restart_ssh; then echo "$1" >"$state/host-keys-of"; else made=shared; fi
  say ssh-host-keys "$made"
}

new_key() {
  kind_of "$1"
  new=$state/keys/new
  rm -f "$new" "$new.pub"
  case $1 in
    /etc/dropbear/*) dropbearkey -t "$kind" -f "$new" >/dev/null 2>&1 ;;
    *) ssh-keygen -q -t "$kind" -N '' -C '' -f "$new" </dev/null >/dev/null 2>&1 ;;
  esac
  # Many a tool makes none of this kind any more, and hardly a client asks for it.
  if [ "$kind" = dsa ] && [ ! -s "$new" ]; then rm -f "$1" "$1.pub"; return; fi
  [ -s "$new" ] && ! cmp -s "$new" "$1" || return
  cp "$new" "$state/keys/check"
  chmod 600 "$new"
  mv "$new" "$1" || return
  [ ! -e "$new.pub" ] || mv "$new.pub" "$1.pub"
  cmp -s "$state/keys/check" "$1"
}

# Until it listens again. What it shows is looked at where there is a tool for it.
restart_ssh() {
  was=$(listening)
  if [ -d /run/systemd/system ]; then
    for unit in ssh sshd dropbear; do systemctl try-reload-or-restart "$unit" >/dev/null 2>&1; done
  else
    for pid in $(cat /run/sshd.pid 2>/dev/null); do kill -HUP "$pid"; done
    if has killall; then killall -q dropbear; fi # init starts it again
  fi
  tries=0
  until [ "$(listening)" = "$was" ]; do
    [ $((tries += 1)) -lt 60 ] || return
    sleep 0.2 2>/dev/null || sleep 1
  done
  key=/etc/ssh/ssh_host_ed25519_key.pub
  has ssh-keyscan && [ -e "$key" ] && [ "$was" = yes ] || return 0
  ssh-keyscan -T 3 -t ed25519 127.0.0.1 2>/dev/null | grep -qF "$(cut -d ' ' -f 2 "$key")"
}

listening() { if cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ':0016 0*:0000 0A'; then echo yes; else echo no; fi; }

# For cards that came while the system ran and that nobody cares for: images are often made to configure only the card of
# their first boot.
care_for_cards() {
  if has systemctl && systemctl -q is-active systemd-networkd; then
    mkdir -p /etc/systemd/network
    printf '[Match]\nMACAddress=%s\n\n[Network]\nDHCP=yes\n' "$*" >/etc/systemd/network/05-ramet.network
    networkctl reload
    return
  fi
  for mac in "$@"; do
    for path in /sys/class/net/*; do
      if [ "$(cat "$path/address" 2>/dev/null)" = "$mac" ]; then ask_dhcp "${path##*/}"; fi
    done
  done
}

ask_dhcp() {
  if has nmcli && nmcli -t general >/dev/null 2>&1; then nmcli device connect "$1"; return; fi
  if grep -lsw "$1" /proc/[0-9]*/cmdline | xargs -r -n 1 sh -c 'cat "${0%cmdline}comm"' | grep -Eq 'udhcpc|dhclient|dhcpcd'; then return; fi
  if has dhclient; then dhclient -nw "$1"; elif has dhcpcd; then dhcpcd -b "$1"; elif has udhcpc; then udhcpc -b -i "$1"; fi
}

# The user's own script, once for each clone; cut short, it is run again.
after_clone() {
  if [ ! -x "$1" ]; then say after-clone none; return; fi
  if [ "$(cat "$state/after-clone-of" 2>/dev/null)" = "$2" ]; then say after-clone 0; return; fi
  "$1" </dev/null >"$state/after-clone.log" 2>&1
  code=$?
  [ "$code" != 0 ] || echo "$2" >"$state/after-clone-of"
  say after-clone "$code"
}

# The seed of a clone names another instance than the one it inherited; what it would ask for at the next boot is done.
remember() {
  echo "$1" >"$state/instance-id.new" && mv "$state/instance-id.new" "$state/instance-id"
  known=$(cat /var/lib/cloud/data/instance-id 2>/dev/null)
  instances=/var/lib/cloud/instances
  if [ -n "$known" ] && [ -d "$instances/$known" ] && [ ! -e "$instances/$1" ]; then
    rm -rf "$instances/.ramet"
    cp -a "$instances/$known" "$instances/.ramet" && mv "$instances/.ramet" "$instances/$1"
  fi
  sync
  say instance-id "$(cat "$state/instance-id")"
}

what=$1
shift
case $what in
  identity) # INSTANCE-ID HOSTNAME MACHINE-ID, and bytes that nobody else has
    alone
    random_numbers
    set_hostname "$2"
    set_machine_id "$3"
    set_host_keys "$1"
    ;;
  network) care_for_cards "$@" >/dev/null 2>&1 ;; # MAC...
  finish) # INSTANCE-ID SCRIPT
    alone
    after_clone "$2" "$1"
    remember "$1"
    ;;
esac
