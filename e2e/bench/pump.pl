# Carries frames of full size between the taps of two machines, which are files 10 and 11, as fast as it goes: one process sends, the other
# answers each WINDOW frames, so that none is lost.
#
#   perl pump.pl COUNT FRAME ANSWER      both in hexadecimal digits; prints the milliseconds that it took
use strict;
use warnings;
use Time::HiRes 'time';

use constant { WINDOW => 128, HEADER => 10 };
my ($count, $frame, $answer) = ($ARGV[0], map { pack('x' . HEADER) . pack 'H*', $_ } @ARGV[1, 2]);
open my $from, '+<&=', 10 or die "tap: $!\n";
open my $to,   '+<&=', 11 or die "tap: $!\n";

sub hear {
  my ($tap, $wanted) = @_;
  do { sysread $tap, my $heard, 1 << 16 or die "tap: $!\n"; return if length $heard == length $wanted } while 1;
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
