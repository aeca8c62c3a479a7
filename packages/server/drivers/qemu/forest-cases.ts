// For tests: histories in which a layer once showed something else than it should. They run every time.
import type { Step } from './forest-history.ts'

/** A process killed after a merge: what was merged stood in its memory only, and the layer that it came from was gone. */
const killedAfterMerge: Step[] = [
  { do: 'snapshot', vm: 367 },
  { do: 'snapshot', vm: 108 },
  { do: 'snapshot', vm: 21 },
  { do: 'snapshot', vm: 221 },
  { do: 'write', vm: 356, slot: 10, value: 244, whole: true },
  { do: 'snapshot', vm: 713 },
  { do: 'snapshot', vm: 273 },
  { do: 'delete', node: 1, killAfter: 0 },
  { do: 'delete', node: 678, killAfter: null },
  { do: 'write', vm: 990, slot: 1, value: 146, whole: false },
  { do: 'write', vm: 513, slot: 10, value: 75, whole: true },
  { do: 'write', vm: 769, slot: 5, value: 244, whole: true },
  { do: 'write', vm: 814, slot: 8, value: 249, whole: true },
  { do: 'delete', node: 8, killAfter: null },
  { do: 'write', vm: 965, slot: 1, value: 108, whole: true },
  { do: 'write', vm: 959, slot: 4, value: 150, whole: true },
  { do: 'revert', vm: 332, node: 603 },
  { do: 'write', vm: 999, slot: 2, value: 25, whole: true },
  { do: 'snapshot', vm: 995 },
  { do: 'write', vm: 440, slot: 8, value: 193, whole: true },
  { do: 'write', vm: 869, slot: 4, value: 92, whole: false },
  { do: 'clone', vm: 111, node: 596 },
  { do: 'write', vm: 57, slot: 11, value: 101, whole: true },
  { do: 'snapshot', vm: 579 },
  { do: 'snapshot', vm: 315 },
  { do: 'delete', node: 3, killAfter: 3 },
  { do: 'clone', vm: 454, node: 1 },
  { do: 'delete', node: 793, killAfter: 3 },
  { do: 'write', vm: 802, slot: 3, value: 5, whole: true },
  { do: 'clone', vm: 878, node: 523 },
]

export const failedOnce: [Step[]][] = [[killedAfterMerge]]
