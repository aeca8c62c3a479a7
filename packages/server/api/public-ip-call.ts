// What the commands on public IP addresses have in common: finding one for its owner, and the result of its job.
import { namesIn } from '@ramet/core/names.ts'
import type { PublicIpId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { type ListedPublicIp, type PublicIp, publicIpById, selectPublicIps } from '../store/public-ips.ts'
import { type Caller, demandOwned } from './caller.ts'
import type { JobResult } from './command.ts'
import { invalid } from './parameters.ts'
import { ipAddressView } from './views/public-ip-address.ts'

/** The address that `parameter` names, if the caller may use it. */
export async function publicIpOfCall(app: App, caller: Caller, id: PublicIpId, parameter = 'id'): Promise<PublicIp> {
  return demandOwned(app, caller, await publicIpById(app.db, id), parameter, id)
}

/** The addresses of the host that may be allocated: all, or the one asked for. */
export function chosenAddresses({ settings }: App, wanted: string | undefined): readonly string[] {
  const all = namesIn(settings.text('public.ip.addresses'))
  if (!wanted) return all
  if (!all.includes(wanted))
    throw invalid('ipaddress', `is ${wanted}; there are ${all.join(', ') || 'none'} (setting public.ip.addresses)`)
  return [wanted]
}

export const publicIpResult: JobResult<ListedPublicIp> = {
  view: ipAddressView,
  read: (app, job) =>
    selectPublicIps(app.db)
      .where('public_ip.id', '=', job.instance_id as PublicIpId)
      .executeTakeFirst(),
}
