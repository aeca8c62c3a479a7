// What the commands on one network have in common: finding it for whoever may change it, or use it, and the job's result.
import type { NetworkId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { RawBuilder, SqlBool } from 'kysely'
import type { App } from '../app.ts'
import { isUsableBy, type Network, networkById, selectNetworks } from '../store/networks.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, demandOwned, unknownId } from './caller.ts'
import type { JobResult } from './command.ts'
import { invalid } from './parameters.ts'
import { type ListedNetwork, networkView } from './views/network.ts'

/** The network that parameter `id` names, if the caller may change it. */
export async function networkOfCall(app: App, caller: Caller, id: NetworkId): Promise<Network> {
  return demandOwned(app, caller, await networkById(app.db, id), 'id', id)
}

/** The network that `parameter` names, if machines of `owner` may be in it. */
export async function networkFor(
  app: App,
  caller: Caller,
  owner: Row<'account'>,
  id: NetworkId,
  parameter: string,
): Promise<Network> {
  const networks = app.db
    .selectFrom('network')
    .selectAll()
    .select((await usableBy(app, caller, owner)).as('is_usable'))
  const network = await networks.where('id', '=', id).executeTakeFirst()
  if (!network) throw unknownId(parameter, id)
  if (!network.is_usable) {
    await demandOwned(app, caller, network, parameter, id)
    throw invalid(parameter, `names network ${network.name}, which account ${owner.name} may not use`)
  }
  return network
}

/** Whether machines of the account may be in a network. */
export async function usableBy(
  { db }: App,
  { domain }: Caller,
  { id, domain_id }: Row<'account'>,
): Promise<RawBuilder<SqlBool>> {
  if (domain_id === domain.id) return isUsableBy(id, domain.path)
  const { path } = await db.selectFrom('domain').select('path').where('id', '=', domain_id).executeTakeFirstOrThrow()
  return isUsableBy(id, path)
}

export async function listedNetwork({ db }: App, id: NetworkId): Promise<ListedNetwork | undefined> {
  return selectNetworks(db).where('network.id', '=', id).executeTakeFirst()
}

export const networkResult: JobResult<ListedNetwork> = {
  view: networkView,
  read: (app, job) => listedNetwork(app, job.instance_id as NetworkId),
}

/** Networks of the hypervisor's own can be had on this one. */
export function demandNetworks({ capabilitiesOf }: App): void {
  if (!capabilitiesOf(null).networks)
    throw new Problem(
      'unsupported',
      'no-networks',
      'This hypervisor makes no networks for guests; listHosts and doctor say why, and each machine can be alone in the network default',
    )
}
