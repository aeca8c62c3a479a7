# Runs a program in the namespace of a tap that another process holds. So a network is found again of which no name and no process of
# its own is left, but a machine.
#
#   perl lost.pl PID FD PROGRAM ARGUMENT...
use strict;
use warnings;

use constant { SETNS => 308, PIDFD_OPEN => 434, PIDFD_GETFD => 438, TUNGETDEVNETNS => 0x54e3 };    # x86_64

sub fail { print STDERR "lost: @_\n"; exit 1 }

my ($pid, $fd) = (shift() + 0, shift() + 0);
(my $process = syscall PIDFD_OPEN, $pid, 0) >= 0 or fail("no process $pid: $!");
(my $tap = syscall PIDFD_GETFD, $process, $fd, 0) >= 0 or fail("file $fd of process $pid: $!");
open my $file, '+<&=', $tap or fail("file $fd of process $pid: $!");
my $namespace = ioctl $file, TUNGETDEVNETNS, 0 or fail("the namespace of a tap: $!");
syscall(SETNS, $namespace + 0, 0) == 0 or fail("cannot enter the namespace of a tap: $!");
exec { $ARGV[0] } @ARGV or fail("$ARGV[0]: $!");
