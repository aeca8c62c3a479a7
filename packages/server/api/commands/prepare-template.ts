import type { StoragePoolId, TemplateId, VmSnapshotId, ZoneId } from '@ramet/core/ids.ts'
import type { App } from '../../app.ts'
import { findOrSeed } from '../../jobs/seed-on-pool.ts'
import { findOrPrepare } from '../../jobs/template-on-pool.ts'
import { type ListedTemplate, listedTemplate } from '../../store/template-list.ts'
import { demandDeployable } from '../../store/vm-snapshot-seeds.ts'
import { type Caller, originOfCall, unknownId } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { demandOneSource, demandZoneOf } from '../deploy-source.ts'
import { chosenTemplate, chosenZone } from '../deployment.ts'
import { id, invalid } from '../parameters.ts'
import { templateView } from '../views/template.ts'
import { vmSnapshotOfCall } from '../vm-snapshot-call.ts'

export const prepareTemplate = objectCommand({
  name: 'prepareTemplate',
  description:
    'Copies a template, or the root disk of a VM snapshot, to primary storage ahead of the first deployment from it; progress is in downloaddetails of listTemplates, or in seedstate of listVMSnapshot',
  permission: 'admin',
  params: {
    zoneid: id<'zone'>('the zone; with vmsnapshotid, that of the VM snapshot'),
    templateid: id<'template'>('the template; this or vmsnapshotid'),
    vmsnapshotid: id<'vm-snapshot'>(
      'the VM snapshot; the answer is the template that its machine was made from, with the job that copies',
    ),
    storageid: id<'storage-pool'>(
      'one primary storage; absent: all that are Up, or that of the VM snapshot, which has no other',
    ),
  },
  view: templateView,
  asList: true,
  async run({ app, caller, params }): Promise<ListedTemplate | null> {
    demandOneSource(params)
    const { templateid, vmsnapshotid, ...where } = params
    if (vmsnapshotid) return seed(app, caller, vmsnapshotid, where)
    return copy(app, caller, templateid as TemplateId, where)
  },
})

interface Asked {
  readonly zoneid: ZoneId | undefined
  readonly storageid: StoragePoolId | undefined
}

async function copy(
  app: App,
  caller: Caller,
  templateid: TemplateId,
  { zoneid, storageid }: Asked,
): Promise<ListedTemplate> {
  if (!zoneid) throw invalid('zoneid', 'is missing')
  await chosenZone(app, zoneid)
  const template = await chosenTemplate(app, caller, templateid)
  const up = await app.db
    .selectFrom('storage_pool')
    .select('id')
    .where('state', '=', 'Up')
    .where('problem', 'is', null)
    .execute()
  const pools = up.filter(pool => !storageid || pool.id === storageid)
  if (storageid && pools.length === 0) throw unknownId('storageid', storageid)
  await app.db.transaction().execute(async tx => {
    for (const pool of pools)
      await findOrPrepare(tx, app.jobs, template.id, pool.id, originOfCall(caller, 'prepareTemplate'))
  })
  return (await listedTemplate(app.db, template.id)) as ListedTemplate
}

/** A disk is copied on its own storage only: from there alone it can be cloned. */
async function seed(
  app: App,
  caller: Caller,
  vmsnapshotid: VmSnapshotId,
  { zoneid, storageid }: Asked,
): Promise<ListedTemplate | null> {
  const { id: snapshot } = await vmSnapshotOfCall(app, caller, vmsnapshotid)
  const origin = originOfCall(caller, 'prepareTemplate')
  const { image, job } = await app.db.transaction().execute(async tx => {
    const root = await demandDeployable(tx, snapshot)
    demandZoneOf(root, zoneid)
    if (storageid && storageid !== root.pool)
      throw invalid('storageid', `must be ${root.poolName}, where the disk of VM snapshot ${root.snapshotName} is`)
    const found = await findOrSeed(tx, app.jobs, root, origin)
    return { image: root.image, job: 'job' in found ? found.job : null }
  })
  const template = image && (await listedTemplate(app.db, image))
  return template ? { ...template, job_id: job } : null
}
