# Gives a program the taps of its network cards as open files: to one that it becomes, or to a QEMU that runs. Node.js can neither
# enter a namespace nor open a tap nor hand an open file over; perl-base, which every Debian has, can. A tap lives as long as the
# process that holds it, so none is ever left over.
#
#   perl taps.pl become UID:GID {NAMESPACES TAP:NUMBER,OTHER-TAP:NUMBER BRIDGE FD}... -- PROGRAM ARGUMENT...
#   perl taps.pl give MONITOR NETDEV NAMESPACES TAP:NUMBER,OTHER-TAP:NUMBER BRIDGE
#
# NAMESPACES are files, separated by commas, entered one after the other. While a process is replaced by another, both hold a tap
# of the same card: the second one gets the other name. Where BRIDGE is empty, the tap is joined to nothing, and carries nothing.
# A program that is become stays in the network of its last card, and so has none of the host's; what it sends passes the bridge's
# guard. MONITOR is the socket of a QEMU's monitor (QMP), which knows the tap as NETDEV afterwards.
use strict;
use warnings;
use POSIX ();

use constant { SETNS => 308, SENDMSG => 46, PRCTL => 157, AF_UNIX => 1, AF_INET => 2 };  # x86_64
use constant { SOCK_STREAM => 1, SOCK_DGRAM => 2, SOL_SOCKET => 1, SCM_RIGHTS => 1, PATIENCE => 15, PR_CAPBSET_DROP => 24 };
use constant { UNSHARE => 272, CLONE_NEWNET => 0x40000000 };
use constant { TUNSETIFF => 0x400454ca, TUNSETIFINDEX => 0x400454da, SIOCGIFFLAGS => 0x8913, SIOCSIFFLAGS => 0x8914 };
use constant { SIOCGIFINDEX => 0x8933, SIOCBRADDIF => 0x89a2, IFF_UP => 1 };
use constant TAP => 0x0002 | 0x1000 | 0x4000;    # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR: checksums are left to whom they cost nothing

$^F = 1023;                                      # open files are inherited

sub fail { print STDERR "taps: @_\n"; exit 1 }

# The last is that of the network, or -, a new one; a user namespace before it can be entered once only.
my %entered;
sub enter {
  my @files = split /,/, shift;
  for my $file (grep({ !$entered{$_}++ } @files[0 .. $#files - 1]), $files[-1]) {
    if ($file eq '-') {
      syscall(UNSHARE, CLONE_NEWNET) == 0 or fail("no new namespace: $!");
      next;
    }
    open my $namespace, '<', $file or fail("$file: $!");
    syscall(SETNS, fileno $namespace, 0) == 0 or fail("cannot enter $file: $!");
    close $namespace;
  }
}

sub open_tap {
  for my $card (split /,/, shift) {
    my ($name, $number) = split /:/, $card;
    open my $tap, '+<', '/dev/net/tun' or fail("/dev/net/tun: $!");
    ioctl $tap, TUNSETIFINDEX, pack 'i', $number or fail("no tap with the number $number: $!");
    my $request = pack 'a16 s x22', $name, TAP;
    return ($tap, $name) if ioctl $tap, TUNSETIFF, $request;
    $!{EBUSY} or fail("no tap $name: $!");
  }
  fail('both taps of a network card are held by other processes');
}

sub plug {
  my ($name, $bridge) = @_;
  socket my $any, AF_INET, SOCK_DGRAM, 0 or fail("socket: $!");
  my $request = pack 'a16 x24', $name;
  ioctl $any, SIOCGIFINDEX, $request or fail("$name: $!");
  my $member = pack 'a16 i x20', $bridge, unpack 'x16 i', $request;
  ioctl $any, SIOCBRADDIF, $member or fail("$name is not taken by $bridge: $!");
  ioctl $any, SIOCGIFFLAGS, $request or fail("$name: $!");
  my $up = pack 'a16 s x22', $name, IFF_UP | unpack 'x16 s', $request;
  ioctl $any, SIOCSIFFLAGS, $up or fail("$name: $!");
  close $any;
}

# In a user namespace a program's id would give it all rights there.
sub surrender {
  my $right = 0;
  $right++ while syscall(PRCTL, PR_CAPBSET_DROP, $right, 0, 0, 0) == 0;
}

# A tap that is joined to its bridge.
sub card {
  my ($namespaces, $names, $bridge) = @_;
  enter($namespaces);
  my ($tap, $name) = open_tap($names);
  plug($name, $bridge) if $bridge ne '';
  return $tap;
}

sub become {
  my ($uid, $gid) = split /:/, shift @ARGV;
  while (@ARGV and $ARGV[0] ne '--') {
    my ($namespaces, $names, $bridge, $fd) = splice @ARGV, 0, 4;
    my $tap = card($namespaces, $names, $bridge);
    POSIX::dup2(fileno $tap, $fd) or fail("dup2: $!");
    close $tap;
  }
  shift @ARGV;
  surrender();
  if ($uid != $>) {
    $) = "$gid $gid";                            # clears the other groups too
    POSIX::setgid($gid) and POSIX::setuid($uid) or fail("cannot become $uid: $!");
  }
  exec { $ARGV[0] } @ARGV or fail("$ARGV[0]: $!");
}

# A command to the monitor, with an open file where one is given. Events come in between.
sub ask {
  my ($monitor, $command, $file) = @_;
  my $words = pack 'P Q', $command, length $command;
  my $rights = defined $file ? pack 'Q i i i x4', 20, SOL_SOCKET, SCM_RIGHTS, fileno $file : '';
  my $message = pack 'Q L x4 P Q P Q i x4', 0, 0, $words, 1, $rights, length $rights, 0;
  syscall(SENDMSG, fileno $monitor, $message, 0) == length $command or fail("the monitor does not listen: $!");
  while (my $line = <$monitor>) {
    return if $line =~ /^\{"return"/;
    fail($line =~ /"desc": "((?:[^"\\]|\\.)*)"/) if $line =~ /"error":/;
  }
  fail('the monitor ended the connection');
}

# A file belongs to the connection that it came by, until the netdev of the same connection takes it.
sub give {
  my ($path, $netdev, @card) = @ARGV;
  alarm PATIENCE;
  socket my $monitor, AF_UNIX, SOCK_STREAM, 0 or fail("socket: $!");
  connect $monitor, pack 'S a108', AF_UNIX, $path or fail("$path: $!");
  my $tap = card(@card);
  <$monitor> or fail('the monitor does not greet');
  ask($monitor, '{"execute":"qmp_capabilities"}');
  ask($monitor, '{"execute":"getfd","arguments":{"fdname":"tap"}}', $tap);
  ask($monitor, qq({"execute":"netdev_add","arguments":{"type":"tap","id":"$netdev","fd":"tap"}}));
}

my $what = shift @ARGV;
$what eq 'give' ? give() : become();
