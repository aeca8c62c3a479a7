// Takes a host back from maintenance: machines may be placed there again. Those that left do not come back by themselves.
import type { HostId } from '@ramet/core/ids.ts'
import { hostLock, moveHost } from '../store/hosts.ts'
import { defineJob, nothing } from './define-job.ts'

export interface ReopenHost {
  readonly host: HostId
}

export const reopenHost = defineJob<ReopenHost>({
  kind: 'reopen-host',
  event: 'MAINT.CANCEL',
  doing: 'cancelling maintenance of host',
  instanceType: 'Host',
  cancellable: false,
  lock: input => hostLock(input.host),
  instance: input => input.host,
}).record('reopen', {
  do: async ({ tx, input }) => {
    const host = await tx.selectFrom('host').select('resource_state').where('id', '=', input.host).executeTakeFirst()
    // The preparation that this call ended may have brought it back already.
    if (host?.resource_state !== 'Enabled') await moveHost(tx, input.host, 'AdminCancelMaintenance')
  },
  undo: nothing('nothing follows it'),
})
