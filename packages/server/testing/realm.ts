// A small realm for tests of who may do what: domains, accounts of each role in them, and one thing of each kind for each
// account. Things are written straight into the database, since making them is not what is tried.
import { type AccountId, type DomainId, newId, type UserId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import type { Caller } from '../api/caller.ts'
import { aDeployment, aDomain, anAccount, aNetwork, aTemplate, type Lab } from './lab.ts'
import { aWayIn } from './ways-in.ts'

export interface Member {
  readonly account: AccountId
  readonly user: UserId
  readonly domain: DomainId
}

/** /east has an administrator and two users, /east/north below it one, /west beside it one, and ROOT the first account. */
export async function aRealm(lab: Lab) {
  const member = async (domain: DomainId, type?: 'DomainAdmin'): Promise<Member> => ({
    ...(await anAccount(lab, domain, type)),
    domain,
  })
  const east = await aDomain(lab, 'east')
  const north = await aDomain(lab, 'north', east)
  const west = await aDomain(lab, 'west')
  const first = await lab.app.db
    .selectFrom('user')
    .innerJoin('account', 'account.id', 'user.account_id')
    .select(['user.id', 'account_id', 'domain_id'])
    .where('account.number', '=', 1)
    .executeTakeFirstOrThrow()
  return {
    east,
    north,
    west,
    root: { account: first.account_id, user: first.id, domain: first.domain_id },
    eastAdmin: await member(east, 'DomainAdmin'),
    alice: await member(east),
    bob: await member(east),
    carol: await member(north),
    dave: await member(west),
  }
}

export type Realm = Awaited<ReturnType<typeof aRealm>>

export async function callerOf({ app: { db } }: Lab, { user, account, domain }: Member): Promise<Caller> {
  return {
    user: await db.selectFrom('user').selectAll().where('id', '=', user).executeTakeFirstOrThrow(),
    account: await db.selectFrom('account').selectAll().where('id', '=', account).executeTakeFirstOrThrow(),
    domain: await db.selectFrom('domain').selectAll().where('id', '=', domain).executeTakeFirstOrThrow(),
  }
}

/** One thing of each kind that accounts own. */
export async function someThings(lab: Lab, member: Member) {
  const { db } = lab.app
  const { account, domain } = member
  const template = await aTemplate(lab, { account_id: account, is_public: false, is_extractable: true })
  const iso = await aTemplate(lab, { account_id: account, is_public: false, is_extractable: true, format: 'ISO' })
  const { vm, disks } = await aDeployment(lab, template, account)
  await db.updateTable('volume').set({ account_id: account }).where('vm_id', '=', vm).execute()
  const zone = await db.selectFrom('zone').select('id').executeTakeFirstOrThrow()
  const offering = await db.selectFrom('disk_offering').select('id').orderBy('size_bytes').executeTakeFirstOrThrow()
  const volume = newId<'volume'>()
  await db
    .insertInto('volume')
    .values({
      id: volume,
      account_id: account,
      zone_id: zone.id,
      disk_offering_id: offering.id,
      name: volume,
      type: 'DATADISK',
      state: 'Allocated',
      size_bytes: 2 ** 30,
    })
    .execute()
  const key = newId<'ssh-key-pair'>()
  await db
    .insertInto('ssh_key_pair')
    .values({ id: key, account_id: account, name: key, fingerprint: '', public_key: 'ssh-ed25519 AAAA' })
    .execute()
  const job = newId<'job'>()
  await db
    .insertInto('job')
    .values({
      id: job,
      kind: 'stop-vm',
      command: 'stopVirtualMachine',
      account_id: account,
      user_id: member.user,
      lock_key: `test:${job}`,
      instance_type: 'None',
      input: '{}',
      state: 'done',
      completed: new Date(),
    })
    .execute()
  const event = newId<'event'>()
  await db
    .insertInto('event')
    .values({
      id: event,
      account_id: account,
      type: 'TEST',
      level: 'INFO',
      state: 'Completed',
      description: '',
      resource_type: 'None',
    })
    .execute()
  const [group, affinity] = [newId<'instance-group'>(), newId<'affinity-group'>()]
  await db.insertInto('instance_group').values({ id: group, account_id: account, name: group }).execute()
  await db
    .insertInto('affinity_group')
    .values({ id: affinity, account_id: account, name: affinity, type: 'host anti-affinity' })
    .execute()
  await db
    .insertInto('resource_tag')
    .values({ resource_type: 'UserVm', resource_id: vm, key: 'owner', value: 'test', account_id: account })
    .execute()
  const { user } = await aUser(lab, account)
  const { id: nic } = await db.selectFrom('nic').select('id').where('vm_id', '=', vm).executeTakeFirstOrThrow()
  const [vmSnapshot, snapshot] = await someSnapshots(lab, vm, disks[0].volume)
  const network = await aNetwork(lab, { account_id: account })
  const { ip: publicIp, rule } = await aWayIn(lab, { network, vm })
  return {
    ...member,
    account,
    domain,
    vm,
    nic,
    root: disks[0].volume,
    volume,
    template,
    iso,
    key,
    job,
    event,
    group,
    affinity,
    network,
    publicIp,
    rule,
    other: user,
    vmSnapshot,
    snapshot,
  }
}

async function someSnapshots({ app: { db } }: Lab, vm: VmId, volume: VolumeId) {
  const [vmSnapshot, snapshot] = [newId<'vm-snapshot'>(), newId<'snapshot'>()]
  const machine = await db.selectFrom('vm').selectAll().where('id', '=', vm).executeTakeFirstOrThrow()
  const store = await db.selectFrom('image_store').select('id').executeTakeFirstOrThrow()
  const { account_id, zone_id, service_offering_id, cpus, cpu_mhz, memory_mib } = machine
  const sizes = { service_offering_id, cpus, cpu_mhz, memory_mib }
  await db
    .insertInto('vm_snapshot')
    .values({
      id: vmSnapshot,
      vm_id: vm,
      account_id,
      name: 's',
      display_name: 's',
      type: 'Disk',
      state: 'Ready',
      ...sizes,
    })
    .execute()
  await db
    .insertInto('snapshot')
    .values({
      id: snapshot,
      account_id,
      zone_id,
      volume_id: volume,
      image_store_id: store.id,
      name: 's',
      state: 'BackedUp',
      virtual_bytes: 1,
      install_path: `snapshots/${snapshot}.qcow2`,
    })
    .execute()
  return [vmSnapshot, snapshot] as const
}

export type Things = Awaited<ReturnType<typeof someThings>>

async function aUser(lab: Lab, account: AccountId): Promise<{ user: UserId }> {
  const user = newId<'user'>()
  await lab.app.db
    .insertInto('user')
    .values({
      id: user,
      account_id: account,
      username: user,
      password_hash: '',
      firstname: 'A',
      lastname: 'B',
      email: 'c',
    })
    .execute()
  return { user }
}

// What watchers keep up to date by themselves, whoever calls what.
const volatile = ['last_pinged', 'free_bytes', 'total_bytes', 'lease_until', 'updated', 'state_since']

/** The whole database as one text for each table: the same twice when nothing was changed in between. */
export async function fingerprint({ app: { db } }: Lab): Promise<Record<string, string>> {
  const { rows: tables } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE' and table_name not in ('migration', 'host_load')`.execute(
    db,
  )
  const sums = tables.map(
    ({ name }) => sql`(select ${name} as name, md5(coalesce(string_agg(row, ' ' order by row), '')) as sum
      from (select (to_jsonb(t) - ${volatile}::text[])::text as row from ${sql.table(name)} t) rows)`,
  )
  const { rows } = await sql<{ name: string; sum: string }>`${sql.join(sums, sql` union all `)}`.execute(db)
  return Object.fromEntries(rows.map(({ name, sum }) => [name, sum]))
}
