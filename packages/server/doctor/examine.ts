// Compares what the database says with what is on disk and what runs. It only looks: each finding says what to do.
import { readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { LayerId } from '@ramet/core/ids.ts'
import { type Forest, planRemoval } from '@ramet/core/layer.ts'
import type { Driver, MachineFacts } from '../drivers/driver.ts'
import type { Database } from '../store/database.ts'
import { forestOfPool, layersOfPool } from '../store/layers.ts'
import { findInNetworks } from './networks.ts'
import { ownPools } from '../store/pools.ts'
import { filesOfSnapshots, findInMemoryImages, findTransientSnapshots } from './snapshots.ts'

export interface Finding {
  readonly subject: string
  readonly what: string
  readonly remedy: string
}

/** What of a driver is needed to look. */
export interface Host {
  readonly pools: Pick<Driver['pools'], 'space'>
  readonly layers: Pick<Driver['layers'], 'list'>
  readonly memory: Pick<Driver['memory'], 'list'>
  readonly machines: Pick<Driver['machines'], 'list'>
  readonly networks: Pick<Driver['networks'], 'list'>
  /** Are machines of clusters that are reached by a connection among those that it lists? */
  readonly seesOthers?: boolean
}

export async function examine(db: Database, host: Host): Promise<Finding[]> {
  const busy = await jobsAtWork(db)
  const parts = await Promise.all([
    findInJobs(db),
    findInPools(db, host, busy),
    findInMachines(db, host, busy),
    findInRecords(db, busy),
    findInSecondary(db, busy),
    findInMemoryImages(db, host, busy),
    findTransientSnapshots(db, busy),
    findInNetworks(db, host, busy),
  ])
  return parts.flat()
}

/** Ids of everything that an unfinished job works on; what looks wrong there may only be under way. */
async function jobsAtWork(db: Database): Promise<(id: string) => boolean> {
  const rows = await db
    .selectFrom('job')
    .leftJoin('job_step', 'job_step.job_id', 'job.id')
    .select(['lock_key', 'input', 'made'])
    .where('completed', 'is', null)
    .execute()
  const text = rows.map(({ lock_key, input, made }) => `${lock_key} ${JSON.stringify([input, made])}`).join(' ')
  return id => text.includes(id)
}

async function findInJobs(db: Database): Promise<Finding[]> {
  const stuck = await db.selectFrom('job').selectAll().where('state', '=', 'stuck').execute()
  return stuck.map(job => ({
    subject: `job ${job.id} (${job.command})`,
    what: `is stuck at ${job.step}: ${job.problem?.message}`,
    remedy: `mend the cause, then: ramet retryJob jobid=${job.id}`,
  }))
}

async function findInPools(db: Database, host: Host, busy: (id: string) => boolean): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const pool of await ownPools(db)) {
    const isThere = await host.pools.space(pool).then(
      () => true,
      () => false,
    )
    if (!isThere) {
      findings.push({
        subject: `storage pool ${pool.name}`,
        what: `is not at ${pool.path}`,
        remedy: 'mount its file system, or restore it from a backup; nothing is made or removed there meanwhile',
      })
      continue
    }
    const recorded = new Map((await layersOfPool(db, pool.id)).map(layer => [layer.id, layer]))
    const forest = await forestOfPool(db, pool.id)
    const onDisk = new Set(await host.layers.list(pool))
    for (const id of onDisk) if (!recorded.has(id) && !busy(id)) findings.push(strayLayer(id, pool.name))
    for (const { id, state } of recorded.values()) {
      if (busy(id)) continue
      if (state !== 'ready')
        findings.push({
          subject: `layer ${id}`,
          what: `is ${state}, but no job works on it`,
          remedy: 'restart the server; report this if it stays',
        })
      else if (!onDisk.has(id))
        findings.push({
          subject: `layer ${id}`,
          what: `has no file on ${pool.name}`,
          remedy: 'restore the file from a backup; machines that stand on it cannot start',
        })
      else if (nobodyNeeds(forest, id))
        findings.push({
          subject: `layer ${id}`,
          what: `takes space on ${pool.name}, but nobody names it and nothing stands on it`,
          remedy: 'nothing is broken; report this, since it should have been removed',
        })
    }
  }
  return findings
}

function nobodyNeeds(forest: Forest, id: LayerId): boolean {
  return forest.get(id)?.named === false && planRemoval(forest, id)[0]?.op === 'discard'
}

function strayLayer(id: LayerId, pool: string): Finding {
  return {
    subject: `layer file ${id}`,
    what: `is on ${pool}, but the database does not know it`,
    remedy: 'move it away once you know that nobody misses it',
  }
}

async function findInMachines(db: Database, host: Host, busy: (id: string) => boolean): Promise<Finding[]> {
  const vms = new Map(
    (await db.selectFrom('vm').select(['id', 'name', 'state', 'removed', 'cluster_id']).execute()).map(vm => [
      vm.id,
      vm,
    ]),
  )
  const found = new Map((await host.machines.list()).map(facts => [facts.vm, facts]))
  const findings = [...found.values()]
    .filter(({ vm }) => !busy(vm))
    .flatMap(facts => strayMachine(facts, vms.get(facts.vm)))
  for (const { id, name, state, cluster_id } of vms.values())
    if ((cluster_id === null || host.seesOthers) && state === 'Running' && found.get(id)?.power !== 'on' && !busy(id))
      findings.push({
        subject: `virtual machine ${name} (${id})`,
        what: 'is Running, but has no process',
        remedy: 'start the server, which settles it',
      })
  return findings
}

function strayMachine(
  { vm, power }: MachineFacts,
  recorded: { state: string; removed: Date | null } | undefined,
): Finding[] {
  if (!recorded || recorded.removed)
    return [
      {
        subject: `machine ${vm}`,
        what: `has ${power === 'on' ? 'a process' : 'files'}, but the database does not know it`,
        remedy: 'end the process or remove the files',
      },
    ]
  if (power === 'on' && recorded.state !== 'Running')
    return [
      {
        subject: `machine ${vm}`,
        what: `has a process, but is ${recorded.state}`,
        remedy: 'start the server, which settles it',
      },
    ]
  return []
}

async function findInRecords(db: Database, busy: (id: string) => boolean): Promise<Finding[]> {
  const vms = await db
    .selectFrom('vm')
    .select(['id', 'state'])
    .where('removed', 'is', null)
    .where('state', 'in', ['Starting', 'Stopping', 'Migrating', 'Restoring', 'Expunging'])
    .execute()
  const volumes = await db
    .selectFrom('volume')
    .select(['id', 'vm_id', 'state'])
    .where('removed', 'is', null)
    .where('state', 'in', [
      'Creating',
      'Copying',
      'Attaching',
      'Resizing',
      'Migrating',
      'UploadInProgress',
      'Expunging',
    ])
    .execute()
  const copies = await db
    .selectFrom('template_spool_ref')
    .select(['template_id as id', 'state'])
    .where('state', '=', 'Creating')
    .execute()
  const transient = [
    ...vms.map(vm => ({ subject: `virtual machine ${vm.id}`, key: vm.id, state: vm.state })),
    ...volumes.map(volume => ({ subject: `volume ${volume.id}`, key: volume.vm_id ?? volume.id, state: volume.state })),
    ...copies.map(copy => ({ subject: `copy of template ${copy.id}`, key: copy.id, state: copy.state })),
  ]
  return transient
    .filter(({ key }) => !busy(key))
    .map(({ subject, state }) => ({
      subject,
      what: `is ${state}, but no job works on it`,
      remedy: 'restart the server; for a machine in Expunging: ramet expungeVirtualMachine',
    }))
}

async function findInSecondary(db: Database, busy: (id: string) => boolean): Promise<Finding[]> {
  const templates = await db
    .selectFrom('template')
    .innerJoin('image_store', 'image_store.id', 'template.image_store_id')
    .select(['template.id', 'template.name', 'template.download_state', 'template.removed', 'install_path', 'path'])
    .where('template.cluster_id', 'is', null)
    .execute()
  const kept = templates
    .filter(({ removed, download_state }) => !removed && download_state === 'DOWNLOADED')
    .map(each => ({ name: `template ${each.name}`, file: `${each.path}/${each.install_path}` }))
  const others = await filesOfVolumes(db)
  const folders = new Set([
    ...templates.map(each => dirname(`${each.path}/${each.install_path}`)),
    ...others.flatMap(({ path }) => [`${path}/volumes`, `${path}/downloads`, `${path}/snapshots`]),
  ])
  const files = (await Promise.all([...folders].map(listFiles))).flat()
  const expected = [...kept, ...others.flatMap(({ named }) => named), ...(await filesOfSnapshots(db))]
  const missing = expected.filter(({ file }) => !files.includes(file))
  const known = new Set(expected.map(({ file }) => file))
  const stray = files.filter(file => !known.has(file) && !busy(basename(file).slice(0, 36)))
  return [
    ...missing.map(({ name, file }) => ({
      subject: name,
      what: `has lost its file ${file}`,
      remedy: 'bring it to Ramet again',
    })),
    ...stray.map(file => ({
      subject: `file ${file}`,
      what: 'belongs to no template, volume or snapshot',
      remedy: 'remove it once you know that nobody misses it',
    })),
  ]
}

/** Uploaded volumes, and copies that wait to be downloaded, by secondary storage. */
async function filesOfVolumes(db: Database) {
  const [stores, uploads, downloads] = await Promise.all([
    db.selectFrom('image_store').select(['id', 'path']).execute(),
    db
      .selectFrom('volume')
      .select(['name', 'image_store_id', 'install_path'])
      .where('removed', 'is', null)
      .where('physical_bytes', 'is not', null)
      .execute(),
    db.selectFrom('download').select(['file', 'file_name']).where('is_temporary', '=', true).execute(),
  ])
  return stores.map(({ id, path }) => ({
    path,
    named: [
      ...uploads
        .filter(({ image_store_id }) => image_store_id === id)
        .map(({ name, install_path }) => ({ name: `volume ${name}`, file: `${path}/${install_path}` })),
      ...downloads
        .filter(({ file }) => file.startsWith(`${path}/`))
        .map(({ file, file_name }) => ({ name: `download ${file_name}`, file })),
    ],
  }))
}

async function listFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.map(name => `${folder}/${name}`)
}
