// The first start: one zone, pod, cluster, host, primary and secondary storage, offerings, a network, and an administrator
// whose credentials are written to admin.json before the database knows them, so that no crash can lose them.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AccountId, type Id, newId, parseId, type ZoneId } from '@ramet/core/ids.ts'
import type { Config } from './config.ts'
import type { Driver } from './drivers/driver.ts'
import { makeCloud, planCloud, prepareCloud } from './first-cloud.ts'
import { readMark } from './folder-mark.ts'
import { prepareStore } from './images/store.ts'
import { hashPassword, randomToken, type Secrets } from './secrets.ts'
import { makeSimulatedTemplate, writeSimulatedImage } from './simulated-template.ts'
import type { Database, Tx } from './store/database.ts'
import { makeNetworkOfferings, newDefaultNetwork } from './store/networks.ts'
import { writeWhole } from './write-whole.ts'

export interface AdminFile {
  readonly url: string
  readonly username: string
  readonly password: string
  readonly apikey: string
  readonly secretkey: string
}

/** Makes what is missing; a server that finds an administrator in the database makes nothing. */
export async function bootstrap(db: Database, config: Config, driver: Driver, secrets: Secrets): Promise<void> {
  const known = await db.selectFrom('account').select('id').executeTakeFirst()
  if (known) return
  const store = await folderOf<'image-store'>(join(config.dataDir, 'secondary'))
  await prepareStore(store)
  const pods = planCloud(config, await folderOf<'storage-pool'>(join(config.dataDir, 'primary')))
  const found = await prepareCloud(driver, pods)
  const template = config.simulate === null ? null : await writeSimulatedImage(store.path)
  const admin = await adminFile(config)
  const passwordHash = await hashPassword(admin.password)
  await db.transaction().execute(async tx => {
    const account = await makeAdministrator(tx, admin, passwordHash, secrets)
    const zone = await makeZone(tx)
    await makeCloud(tx, driver, zone, pods, found)
    await tx
      .insertInto('image_store')
      .values({ ...store, zone_id: zone, name: 'secondary1' })
      .execute()
    await makeNetworkOfferings(tx)
    await newDefaultNetwork(tx, account, zone)
    await makeOfferings(tx)
    await makeOsTypes(tx)
    if (template) await makeSimulatedTemplate(tx, template, { account, zone, store: store.id })
  })
}

/** An interrupted first start may have marked the folder already: then it is that storage's. */
async function folderOf<K extends string>(path: string): Promise<{ id: Id<K>; path: string }> {
  return { id: parseId<K>((await readMark(path)) ?? '') ?? newId<K>(), path }
}

/** Credentials from an interrupted first start, or new ones; on disk when this returns. */
async function adminFile(config: Config): Promise<AdminFile> {
  const found = await readAdminFile(config.dataDir)
  if (found) return found
  const admin = {
    url: '',
    username: 'admin',
    password: randomToken(12),
    apikey: randomToken(64),
    secretkey: randomToken(64),
  }
  await writeAdminFile(config.dataDir, admin)
  return admin
}

export async function readAdminFile(dataDir: string): Promise<AdminFile | null> {
  const text = await readFile(join(dataDir, 'admin.json'), 'utf8').catch(() => null)
  return text ? (JSON.parse(text) as AdminFile) : null
}

export function writeAdminFile(dataDir: string, admin: AdminFile): Promise<void> {
  return writeWhole(join(dataDir, 'admin.json'), `${JSON.stringify(admin, null, 2)}\n`)
}

async function makeAdministrator(tx: Tx, admin: AdminFile, passwordHash: string, secrets: Secrets): Promise<AccountId> {
  const [domain, account] = [newId<'domain'>(), newId<'account'>()]
  await tx.insertInto('domain').values({ id: domain, name: 'ROOT', path: '/', level: 0 }).execute()
  await tx.insertInto('account').values({ id: account, domain_id: domain, name: 'admin', type: 'Admin' }).execute()
  await tx
    .insertInto('user')
    .values({
      id: newId(),
      account_id: account,
      username: admin.username,
      password_hash: passwordHash,
      firstname: 'Admin',
      lastname: 'User',
      email: 'admin@localhost',
      api_key: admin.apikey,
      secret_key_sealed: secrets.seal(admin.secretkey),
    })
    .execute()
  return account
}

async function makeZone(tx: Tx): Promise<ZoneId> {
  const id = newId<'zone'>()
  const dns = '10.1.0.3' // the name server that QEMU's user-mode network offers its guests
  await tx
    .insertInto('zone')
    .values({ id, name: 'zone1', network_type: 'Advanced', dns1: dns, internal_dns1: dns })
    .execute()
  return id
}

async function makeOfferings(tx: Tx): Promise<void> {
  const compute = [
    ['Tiny Instance', 1, 256],
    ['Small Instance', 1, 512],
    ['Medium Instance', 2, 1024],
    ['Large Instance', 4, 4096],
  ] as const
  for (const [index, [name, cpus, memory]] of compute.entries()) {
    const text = `${name}: ${cpus} vCPU, ${memory} MiB`
    await tx
      .insertInto('service_offering')
      .values({ id: newId(), name, display_text: text, cpus, cpu_mhz: 1000, memory_mib: memory, sort_key: index })
      .execute()
  }
  for (const [name, gib] of [
    ['Small', 5],
    ['Medium', 20],
    ['Large', 100],
    ['Custom', null],
  ] as const)
    await tx
      .insertInto('disk_offering')
      .values({ id: newId(), name, display_text: gib ? `${gib} GiB` : 'any size', size_bytes: gib && gib * 2 ** 30 })
      .execute()
}

async function makeOsTypes(tx: Tx): Promise<void> {
  const types = {
    Debian: ['Debian GNU/Linux 12 (64-bit)', 'Debian GNU/Linux 13 (64-bit)'],
    Ubuntu: ['Ubuntu 22.04 LTS', 'Ubuntu 24.04 LTS'],
    Windows: ['Windows 11 (64-bit)', 'Windows Server 2022 (64-bit)', 'Windows Server 2025 (64-bit)'],
    Other: ['Other Linux (64-bit)', 'Other (64-bit)'],
  }
  for (const [name, descriptions] of Object.entries(types)) {
    const category = newId<'os-category'>()
    await tx.insertInto('os_category').values({ id: category, name }).execute()
    for (const description of descriptions)
      await tx.insertInto('os_type').values({ id: newId(), category_id: category, description }).execute()
  }
}
