// Asks a host anew what it is and has, and notes that it answers. One that is silent stays Down, and the job fails.
import type { HostId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { columnsOf, hostById, hostLock } from '../store/hosts.ts'
import { defineJob, nothing } from './define-job.ts'

export interface ReconnectHost {
  readonly host: HostId
}

export const reconnectHost = defineJob<ReconnectHost>({
  kind: 'reconnect-host',
  event: 'HOST.RECONNECT',
  doing: 'reconnecting host',
  instanceType: 'Host',
  cancellable: false,
  lock: input => hostLock(input.host),
  instance: input => input.host,
})
  .act('ask', {
    do: async ({ db, driver, input }) => {
      const host = await hostById(db, input.host)
      if (!host) throw new Problem('invalid', 'unknown-id', `There is no host ${input.host}`)
      return driver.hosts.facts(host)
    },
    undo: nothing('it only looks'),
  })
  .record('note', {
    do: async ({ tx, input, made }) => {
      await tx
        .updateTable('host')
        .set({ state: 'Up', ...columnsOf(made.ask), last_pinged: new Date() })
        .where('id', '=', input.host)
        .execute()
    },
    undo: nothing('nothing follows it'),
  })
