// What a driver says that is to take a machine to a memory which its disks do not fit any more.
import { Problem } from '@ramet/core/problem.ts'

export function diskWritten(deviceId: number): Problem {
  return new Problem(
    'refused',
    'disk-written',
    `The machine cannot go on from this memory: its disk ${deviceId} was written afterwards, so it went on from there already and is off again. Start it, and it boots from its disks; or ask again for what is to go on from the memory`,
  )
}

export function isDiskWritten(error: unknown): error is Problem {
  return error instanceof Problem && error.code === 'disk-written'
}
