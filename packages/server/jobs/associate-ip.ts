// Gives a network a public address, which the call wrote down, for rules that forward ports. The hypervisor learns of the rules alone.
import type { PublicIpId } from '@ramet/core/ids.ts'
import { publicIpLock } from '../store/public-ips.ts'
import { defineJob, nothing } from './define-job.ts'

export interface OnPublicIp {
  readonly ip: PublicIpId
}

export const associateIp = defineJob<OnPublicIp>({
  kind: 'associate-ip',
  event: 'NET.IPASSIGN',
  doing: 'associating public IP address',
  instanceType: 'IpAddress',
  cancellable: false,
  lock: input => publicIpLock(input.ip),
  instance: input => input.ip,
})
  .record('allocate', {
    do: async ({ tx, input }) => {
      const ips = tx.updateTable('public_ip').set({ state: 'Allocated' }).where('id', '=', input.ip)
      await ips.where('state', '=', 'Allocating').execute()
    },
    undo: nothing('nothing follows it'),
  })
  .whenItFails(async ({ tx, input }) => {
    await tx.deleteFrom('public_ip').where('id', '=', input.ip).where('state', '=', 'Allocating').execute()
  })
