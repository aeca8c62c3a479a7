# For tests: a machine without a guest, which holds the tap at file 10. Frames are lines of hexadecimal digits: those of its standard input are
# sent, those that arrive are printed.
use strict;
use warnings;

use constant HEADER => 10;    # IFF_VNET_HDR: nothing is left to the other side here
open my $tap, '+<&=', 10 or die "tap: $!\n";
my $asked = '';
$| = 1;
print "ready\n";
for (;;) {
  my $readable = '';
  vec($readable, fileno $_, 1) = 1 for $tap, *STDIN;
  select($readable, undef, undef, undef) > 0 or next;
  if (vec $readable, fileno $tap, 1) {
    sysread $tap, my $frame, 1 << 16 or die "tap: $!\n";
    print unpack('H*', substr $frame, HEADER), "\n";
  }
  if (vec $readable, fileno STDIN, 1) {
    sysread STDIN, $asked, 1 << 16, length $asked or exit;
    while ($asked =~ s/^([0-9a-f]*)\n//) { syswrite $tap, pack('x' . HEADER) . pack 'H*', $1 or die "tap: $!\n" }
  }
}
