# Run in the guest by its agent, as `sh -c THIS ramet identity|network|finish ARGUMENT...`: makes a clone somebody of its own.
# It says what it found when it looked again, in lines `NAME=VALUE`. Everything may be done twice, or end in the middle.
# POSIX shell; what is not everywhere is asked for first. A program costs an emulated guest that has just come to life a hundred times
# what the shell itself does, so that files are read by `read`.

state=/var/lib/ramet
umask 022
has() { command -v "$1" >/dev/null 2>&1; }
say() { printf '%s=%s\n' "$1" "$2"; }
# The first line of a file, in `line`; empty where there is none.
line_of() { line=; [ ! -r "$1" ] || read -r line <"$1" || :; }

# One at a time: a copy of a machine may also have inherited one in the middle of its work. Whoever was killed left his
# number behind.
alone() {
  [ -d "$state" ] || mkdir -p "$state"
  tries=0
  until (set -C; echo $$ >"$state/busy") 2>/dev/null; do
    line_of "$state/busy"
    if grep -qs ramet "/proc/$line/cmdline" && [ $((tries += 1)) -lt 60 ]; then sleep 1; else rm -f "$state/busy"; fi
  done
  trap 'rm -f "$state/busy"' EXIT
}

# Random numbers come first, for keys are made of them. What is stirred in is unique; it counts from the reseeding on, which the
# kernel does at once when asked by ioctl (RNDRESEEDCRNG), or by itself when it sees another VM generation id.
random_numbers() {
  read -r line
  echo "$line" >/dev/urandom
  if reseed; then say rng reseeded; else say rng "$(forked)"; fi
}

reseed() {
  if has perl; then perl -e 'open(F, ">", "/dev/urandom") && defined(ioctl(F, 0x5207, 0)) or exit 1' && return; fi
  has python3 && python3 -c 'import fcntl; fcntl.ioctl(open("/dev/urandom", "wb"), 0x5207)'
} 2>/dev/null

# The kernel says when it saw the new id: how long it had been up then, beside how long it is up now. What it said before the clone was
# cut off was said to its source.
forked() {
  said=$(dmesg 2>/dev/null | grep -F 'crng reseeded due to virtual machine fork')
  [ -n "$said" ] || { echo shared; return; }
  at=${said##*[}
  read -r up idle </proc/uptime
  echo "forked" "$up" ${at%%]*}
}

# /etc/hosts names the machine too, in lines of its own addresses.
set_hostname() {
  line_of /proc/sys/kernel/hostname
  old=$line
  echo "$1" >/etc/hostname
  echo "$1" >/proc/sys/kernel/hostname
  if [ "$old" != "$1" ] && [ -e /etc/hosts ]; then
    hosts=$(set -f; while IFS= read -r line || [ -n "$line" ]; do rename_in "$line" "$old" "$1"; done </etc/hosts)
    printf '%s\n' "$hosts" >"$state/hosts" && cat "$state/hosts" >/etc/hosts
    rm -f "$state/hosts"
  fi
  line_of /proc/sys/kernel/hostname
  say hostname "$line"
  line_of /etc/hostname
  say hostname-file "$line"
}

rename_in() {
  case $1 in
    127.* | ::1*)
      renamed=
      for word in $1; do
        case $word in "$2" | "$2".*) word=$3${word#"$2"} ;; esac
        renamed=$renamed${renamed:+ }$word
      done
      printf '%s\n' "$renamed"
      ;;
    *) printf '%s\n' "$1" ;;
  esac
}

set_machine_id() {
  [ -e /etc/machine-id ] || { say machine-id none; return; }
  line_of /etc/machine-id
  if [ "$line" != "$1" ]; then
    umask 222
    echo "$1" >/etc/machine-id.new && mv -f /etc/machine-id.new /etc/machine-id
    umask 022
    if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ]; then echo "$1" >/var/lib/dbus/machine-id; fi
    # It tells DHCP servers who it is by the machine-id that it read when it began.
    if has systemctl; then systemctl try-restart systemd-networkd >/dev/null 2>&1; fi
  fi
  line_of /etc/machine-id
  say machine-id "$line"
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
  line_of "$state/host-keys-of"
  if [ "$line" = "$1" ]; then say ssh-host-keys own; return; fi
  rm -rf "$state/keys"
  mkdir -m 700 "$state/keys"
  made=own
  for key in $(host_keys); do new_key "$key" || made=shared; done
  rm -rf "$state/keys"
  if [ "$made" = own ] && restart_ssh; then echo "$1" >"$state/host-keys-of"; else made=shared; fi
  say ssh-host-keys "$made"
}

# Its place is looked at again: there is what another name stands for, or a copy where it went to another file system.
new_key() {
  kind_of "$1"
  new=$state/keys/new.$kind
  case $1 in
    /etc/dropbear/*) dropbearkey -t "$kind" -f "$new" >/dev/null 2>&1 ;;
    *) ssh-keygen -q -t "$kind" -N '' -C '' -f "$new" </dev/null >/dev/null 2>&1 ;;
  esac
  # Many a tool makes none of this kind any more, and hardly a client asks for it.
  if [ "$kind" = dsa ] && [ ! -s "$new" ]; then rm -f "$1" "$1.pub"; return; fi
  [ -s "$new" ] && ! cmp -s "$new" "$1" || return
  ln "$new" "$new.same" 2>/dev/null || cp "$new" "$new.same"
  mv -f "$new" "$1" || return
  [ ! -e "$new.pub" ] || mv -f "$new.pub" "$1.pub"
  [ "$1" -ef "$new.same" ] || cmp -s "$new.same" "$1"
}

# Until it listens again. What it shows is looked at where there is a tool for it.
restart_ssh() {
  look_for_ssh
  was=$listens
  line_of /run/dropbear.pid
  dropbear=$line
  if [ -d /run/systemd/system ]; then
    for unit in ssh sshd dropbear; do systemctl try-reload-or-restart "$unit" >/dev/null 2>&1; done
    dropbear=
  else
    line_of /run/sshd.pid
    if [ -n "$line" ]; then kill -HUP "$line"; fi
    line_of "/proc/$dropbear/comm"
    # init starts it again
    if [ "$line" = dropbear ]; then kill "$dropbear"; else dropbear=; ! has killall || killall -q dropbear; fi
  fi
  tries=0
  until is_another "$dropbear" && look_for_ssh && [ "$listens" = "$was" ]; do
    [ $((tries += 1)) -lt 60 ] || return
    sleep 0.3 2>/dev/null || sleep 1
  done
  key=/etc/ssh/ssh_host_ed25519_key.pub
  has ssh-keyscan && [ -e "$key" ] && [ "$was" = yes ] || return 0
  ssh-keyscan -T 3 -t ed25519 127.0.0.1 2>/dev/null | grep -qF "$(cut -d ' ' -f 2 "$key")"
}

# That one wrote its number down when it began.
is_another() {
  [ -n "$1" ] || return 0
  line_of /run/dropbear.pid
  [ -n "$line" ] && [ "$line" != "$1" ]
}

look_for_ssh() {
  listens=no
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$table" ] || continue
    while read -r number from to status rest; do
      case $from$to$status in *:0016*:00000A) listens=yes; return ;; esac
    done <"$table"
  done
  return 0
}

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
  line_of "$state/after-clone-of"
  if [ "$line" = "$2" ]; then say after-clone 0; return; fi
  "$1" </dev/null >"$state/after-clone.log" 2>&1
  code=$?
  [ "$code" != 0 ] || echo "$2" >"$state/after-clone-of"
  say after-clone "$code"
}

# The seed of a clone names another instance than the one it inherited; what it would ask for at the next boot is done.
remember() {
  echo "$1" >"$state/instance-id.new" && mv "$state/instance-id.new" "$state/instance-id"
  line_of /var/lib/cloud/data/instance-id
  known=$line
  instances=/var/lib/cloud/instances
  if [ -n "$known" ] && [ -d "$instances/$known" ] && [ ! -e "$instances/$1" ]; then
    rm -rf "$instances/.ramet"
    cp -a "$instances/$known" "$instances/.ramet" && mv "$instances/.ramet" "$instances/$1"
  fi
  sync
  line_of "$state/instance-id"
  say instance-id "$line"
}

what=$1
shift
case $what in
  identity) # INSTANCE-ID HOSTNAME MACHINE-ID, and a line that nobody else has
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
