# Carries frames of full size between the taps of two machines, which are files 10 and 11, as fast as it goes: one process sends, the other
# answers each WINDOW frames, so that none is lost.
#
#   perl pump.pl COUNT FRAME ANSWER      both in hexadecimal digits; prints the milliseconds that it took
#
# A frame of more than the network carries is one that a guest leaves to its card to divide, as guests do with what they have much of.
use strict;
use warnings;
use Time::HiRes 'time';

use constant { WINDOW => 128, SINGLE => 1514, TUNSETOFFLOAD => 0x400454d0, CHECKSUM_AND_TSO4 => 3 };
# struct virtio_net_hdr: nothing is left to do; or a checksum, and division of the TCP segment behind headers of 54 bytes into such of 1460.
use constant { DONE => pack('x10'), TO_DIVIDE => pack('C C v v v v', 1, 1, 54, 1460, 34, 16) };
my ($count, $frame, $answer) = ($ARGV[0], map { (length > 2 * SINGLE ? TO_DIVIDE : DONE) . pack 'H*', $_ } @ARGV[1, 2]);
open my $from, '+<&=', 10 or die "tap: $!\n";
open my $to,   '+<&=', 11 or die "tap: $!\n";
ioctl $_, TUNSETOFFLOAD, CHECKSUM_AND_TSO4 or die "tap: $!\n" for $from, $to;

sub hear {
  my ($tap, $wanted) = @_;
  do { sysread $tap, my $heard, 1 << 17 or die "tap: $!\n"; return if length $heard == length $wanted } while 1;
}

sub answer_all {
  for my $window (1 .. $count / WINDOW) {
    hear($to, $frame) for 1 .. WINDOW;
    syswrite $to, $answer;
  }
  exit;
}

my $child = fork // die "fork: $!\n";
$child or answer_all();
my $begin = time;
for my $window (1 .. $count / WINDOW) {
  syswrite $from, $frame or die "tap: $!\n" for 1 .. WINDOW;
  hear($from, $answer);
}
printf "%.3f\n", 1000 * (time() - $begin);
waitpid $child, 0;
