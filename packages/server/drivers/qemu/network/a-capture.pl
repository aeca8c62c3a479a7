# For tests: all frames of the network namespace that it runs in, as lines: interface, kind of packet (4: on its way out of an interface, as
# packet(7) has it), sender's MAC, receiver's MAC.
use strict;
use warnings;

use constant { AF_PACKET => 17, SOCK_RAW => 3, ETH_P_ALL => 0x0003, SIOCGIFNAME => 0x8910 };

socket my $wire, AF_PACKET, SOCK_RAW, unpack 'S', pack 'n', ETH_P_ALL or die "socket: $!\n";
$| = 1;
print "ready\n";
my %names;
for (;;) {
  defined(my $from = recv $wire, my $frame, 64, 0) or die "recv: $!\n";
  my ($index, $kind) = unpack 'x4 i x2 C', $from;
  my $request = pack 'a16 i x20', '', $index;
  $names{$index} = unpack 'Z16', $request if !$names{$index} and ioctl $wire, SIOCGIFNAME, $request;
  my ($to, $by) = map { join ':', unpack '(H2)6', $_ } unpack 'a6 a6', $frame;
  print join(' ', $names{$index} // $index, $kind, $by, $to), "\n";
}
