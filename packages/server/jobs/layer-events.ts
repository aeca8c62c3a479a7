// What the audit trail says of the disk layers that a job had the hypervisor make.
import type { LayerId } from '@ramet/core/ids.ts'
import type { EventFacts } from '../store/events.ts'
import type { Row } from '../store/tables.ts'

/** `as` says how it was made: "a linked clone on …". */
export function layerMade(job: Row<'job'>, layer: LayerId, as: string): EventFacts {
  return {
    type: 'LAYER.CREATE',
    description: `made disk layer ${layer}, ${as}`,
    account: job.account_id,
    user: job.user_id,
    resourceType: 'None',
    resource: layer,
    startEvent: job.start_event_id,
  }
}
