# Carries connections from ports of the host to machines in guest networks. It outlives the server, and one process for each
# connection outlives it: what is established lives on whatever ends. That process leaves all rights behind before the first byte.
#
#   perl forwarder.pl UID:GID      with a listening unix socket as file 3, on which it is asked, a line each:
#
#   add ADDRESS PORT NAMESPACES TO-ADDRESS TO-PORT     answers "ok", or "error CODE: TEXT"
#   remove ADDRESS PORT                                answers "ok"; connections of the rule are cut
#   list                                               answers a line like that of `add` for each rule, without the word, then "ok"
use strict;
use warnings;
use IO::Handle;
use POSIX ();
use Socket qw(:DEFAULT IPPROTO_TCP SOCK_CLOEXEC SOCK_NONBLOCK TCP_KEEPCNT TCP_KEEPIDLE TCP_KEEPINTVL TCP_NODELAY);

use constant { SETNS => 308, CAPSET => 126, CAPABILITY_VERSION_3 => 0x20080522 };    # x86_64
use constant { most_connections => 2000, chunk => 1 << 17 };

my ($uid, $gid) = split /:/, shift;
my (%rules, %connections);
$SIG{PIPE} = 'IGNORE';
$SIG{CHLD} = sub { };             # only to wake select
open my $control, '+<&=', 3 or die "no control socket: $!\n";

for (;;) {
  while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) { delete $connections{$pid} }
  my $wanted = '';
  vec($wanted, fileno $_, 1) = 1 for $control, map { $_->{socket} } values %rules;
  next unless select($wanted, undef, undef, undef) > 0;
  answer() if vec $wanted, fileno $control, 1;
  vec($wanted, fileno $_->{socket}, 1) and admit($_) for values %rules;
}

sub answer {
  accept my $asker, $control or return;
  $asker->autoflush(1);
  my ($verb, @words) = split ' ', scalar <$asker> // '';
  my %acts = (add => \&add, remove => \&remove, list => \&list);
  print $asker $verb && $acts{$verb} ? $acts{$verb}->(@words) : "error EINVAL: what is that?\n";
  close $asker;
}

sub add {
  my ($address, $port, @to) = @_;
  my $known = $rules{"$address $port"};
  if ($known) { $known->{to} = \@to; return "ok\n" }
  socket my $socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 or return failure();
  setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, 1;
  bind $socket, pack_sockaddr_in($port, inet_aton($address)) or return failure();
  listen $socket, 128 or return failure();
  $rules{"$address $port"} = { name => "$address $port", socket => $socket, to => \@to };
  return "ok\n";
}

sub failure {
  my ($code) = grep { $!{$_} } qw(EADDRINUSE EADDRNOTAVAIL EACCES EPERM);
  return 'error ' . ($code // 'EIO') . ": $!\n";
}

sub remove {
  my $name = join ' ', @_;
  delete $rules{$name};
  kill 'TERM', grep { $connections{$_} eq $name } keys %connections;
  return "ok\n";
}

sub list { join('', map { join(' ', $_->{name}, @{ $_->{to} }) . "\n" } values %rules) . "ok\n" }

sub admit {
  my ($rule) = @_;
  accept my $outside, $rule->{socket} or return;
  return if keys %connections >= most_connections;
  my $pid = fork // return;
  if ($pid) { $connections{$pid} = $rule->{name}; return }
  $SIG{CHLD} = 'DEFAULT';
  close $_ for $control, map { $_->{socket} } values %rules;
  $0 = "ramet-forward $rule->{name}";
  carry($outside, reach(@{ $rule->{to} }) // refuse($outside));
  POSIX::_exit(0);
}

# Connects inside the network of the machine; the socket stays there, wherever the process goes.
sub reach {
  my ($namespaces, $address, $port) = @_;
  for my $file (split /,/, $namespaces) {
    open my $namespace, '<', $file or return;
    syscall(SETNS, fileno $namespace, 0) == 0 or return;
  }
  socket my $inside, AF_INET, SOCK_STREAM, 0 or return;
  connect $inside, pack_sockaddr_in($port, inet_aton($address)) or return;
  return $inside;
}

sub refuse {
  my ($outside) = @_;
  setsockopt $outside, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;    # a reset, as from a port where nobody listens
  close $outside;
  POSIX::_exit(0);
}

sub carry {
  my @ends = @_;
  if ($uid != $>) {
    $) = "$gid $gid";
    POSIX::setgid($gid) and POSIX::setuid($uid) or POSIX::_exit(1);
  }
  # Where the process may become nobody else, in a user namespace, its rights do not go with its id.
  my ($header, $none) = (pack('Ll', CAPABILITY_VERSION_3, 0), pack 'L6');
  syscall(CAPSET, $header, $none) == 0 or POSIX::_exit(1);
  for my $end (@ends) {
    $end->blocking(0);
    setsockopt $end, SOL_SOCKET, SO_KEEPALIVE, 1;
    setsockopt $end, IPPROTO_TCP, TCP_NODELAY, 1;
    setsockopt $end, IPPROTO_TCP, $$_[0], $$_[1] for [TCP_KEEPIDLE, 60], [TCP_KEEPINTVL, 15], [TCP_KEEPCNT, 8];
  }
  my @ways = ({ from => $ends[0], to => $ends[1], held => '' }, { from => $ends[1], to => $ends[0], held => '' });
  while (my @open = grep { !$_->{over} } @ways) {
    my ($readable, $writable) = ('', '');
    for (@open) {
      if ($_->{held} eq '') { vec($readable, fileno $_->{from}, 1) = 1 }
      else                  { vec($writable, fileno $_->{to},   1) = 1 }
    }
    select($readable, $writable, undef, undef) < 0 and next;
    for (@open) {
      if ($_->{held} eq '') { vec($readable, fileno $_->{from}, 1) and take($_) }
      else                  { vec($writable, fileno $_->{to},   1) and give($_) }
    }
  }
}

sub take {
  my ($way) = @_;
  my $count = sysread $way->{from}, $way->{held}, chunk;
  if ($count) { give($way) }
  elsif (!defined $count) { again() or broken() }
  else { shutdown $way->{to}, 1; $way->{over} = 1 }
}

sub give {
  my ($way) = @_;
  my $count = syswrite $way->{to}, $way->{held};
  if (defined $count) { substr($way->{held}, 0, $count) = '' }
  else                { again() or broken() }
}

sub again  { $!{EAGAIN} || $!{EINTR} }
sub broken { POSIX::_exit(0) }
