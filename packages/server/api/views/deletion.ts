// What became of a deletion: that it worked, and what of it goes on by jobs of its own.
import { boolean, integer, long, nested, string, view } from '../view.ts'

export interface RemovalOnWire {
  readonly job: string
  readonly layer: string
  readonly bytes: number
  readonly status: number
  readonly percent: number
}

const removalView = view<RemovalOnWire>('removal', {
  jobid: string('the job that merges or discards a disk layer', removal => removal.job),
  jobstatus: integer(
    '0 pending, 1 done, 2 failed: the layer stays, hidden, and it is tried again',
    removal => removal.status,
  ),
  jobprogress: integer('how far that is, in percent', removal => removal.percent),
  layer: string('the layer', removal => removal.layer),
  bytes: long('bytes that the layer held', removal => removal.bytes),
  movedbytes: long('those that are dealt with', ({ bytes, percent }) => Math.floor((bytes * percent) / 100)),
})

export interface Deletion {
  readonly removals: readonly RemovalOnWire[]
}

export const deletionView = view<Deletion>('success', {
  success: boolean('whether it worked', () => true),
  removals: nested('disk layers that this freed', removalView, ({ removals }) =>
    removals.length > 0 ? removals : undefined,
  ),
})
