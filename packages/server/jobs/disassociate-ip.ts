// Gives a public address up: its rules go, and their ports are free, before the address is forgotten.
import { revokeRules } from '../store/port-forwarding.ts'
import { holdPublicIp, publicIpLock } from '../store/public-ips.ts'
import type { OnPublicIp } from './associate-ip.ts'
import { defineJob, nothing } from './define-job.ts'
import { settlePorts } from './settle-port.ts'

const noWayBack = nothing('the address is to go; asking again finishes it')

export const disassociateIp = defineJob<OnPublicIp>({
  kind: 'disassociate-ip',
  event: 'NET.IPRELEASE',
  doing: 'releasing public IP address',
  instanceType: 'IpAddress',
  cancellable: false,
  lock: input => publicIpLock(input.ip),
  instance: input => input.ip,
})
  .record('release', {
    do: async ({ tx, input }) => {
      await holdPublicIp(tx, input.ip)
      await tx.updateTable('public_ip').set({ state: 'Releasing' }).where('id', '=', input.ip).execute()
      return revokeRules(tx, input)
    },
    undo: noWayBack,
  })
  .act('free-ports', { do: context => settlePorts(context, context.made.release), undo: noWayBack })
  .record('forget', {
    do: async ({ tx, input }) => {
      await tx.deleteFrom('public_ip').where('id', '=', input.ip).execute()
    },
    undo: noWayBack,
  })
