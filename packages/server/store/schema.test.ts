// The database has one shape, whichever road leads to it, on every PostgreSQL that we run on.
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import pg from 'pg'
import { type Installation, installations } from '../postgres/installation.ts'
import { loadSettings } from '../settings.ts'
import { startCluster } from '../testing/database.ts'
import { type Connection, connect } from './database.ts'
import { apply, migrate, migrations } from './migrate.ts'
import { demandDeployable, seedOf } from './vm-snapshot-seeds.ts'
import { cloneTypeOf } from './vms.ts'

const found = await installations()

for (const kind of ['system', 'npm'] as const) {
  const skip = !found.some(each => each.kind === kind) && `no ${kind} PostgreSQL of version 15 or newer here`
  describe(`on the ${kind} PostgreSQL`, { skip }, () => storeTests(kind))
}

function storeTests(kind: Installation['kind']): void {
  let cluster: Awaited<ReturnType<typeof startCluster>>
  let names = 0

  before(async () => {
    cluster = await startCluster(kind)
  })
  after(async () => {
    await cluster.stop()
    await rm(cluster.directory, { recursive: true, force: true })
  })

  /** A new database, given to `use` and closed again. */
  async function withDatabase(use: (connection: Connection) => Promise<void>): Promise<void> {
    const name = `store_${++names}`
    const client = new pg.Client({ connectionString: cluster.url })
    await client.connect()
    await client.query(`create database ${name}`)
    await client.end()
    const connection = connect(cluster.url.replace('/ramet?', `/${name}?`), () => {})
    await use(connection).finally(() => connection.close())
  }

  test('schema.sql and the migrations lead to the same database', async () => {
    let fromSchema: unknown
    await withDatabase(async ({ db }) => {
      await migrate(db)
      fromSchema = await shapeOf(db)
    })
    await withDatabase(async ({ db }) => {
      await applyFirst(db, (await migrations()).length)
      assert.deepEqual(await shapeOf(db), fromSchema)
    })
  })

  test('migrating again changes nothing, and a database of a newer server is refused', async () => {
    await withDatabase(async ({ db }) => {
      await migrate(db)
      const shape = await shapeOf(db)
      await migrate(db)
      assert.deepEqual(await shapeOf(db), shape)
      await sql`insert into migration (name) values ('9999-from-the-future.sql')`.execute(db)
      await assert.rejects(migrate(db), /9999-from-the-future.*newer/)
    })
  })

  test('two servers may migrate at once', async () => {
    await withDatabase(async ({ db }) => {
      await Promise.all([migrate(db), migrate(db), migrate(db)])
      const { rows } = await sql<{ count: number }>`select count(*)::int as count from migration`.execute(db)
      assert.equal(rows[0]?.count, (await migrations()).length)
    })
  })

  test('machines from before the clone type are linked after the upgrade, and the settings are at their defaults', async () => {
    await withDatabase(async ({ db }) => {
      await applyFirst(db, 1)
      const vm = newId<'vm'>()
      await sql.raw(machineOfOld(vm)).execute(db)
      await migrate(db)
      assert.equal(await cloneTypeOf(db, vm), 'linked')
      const { rows } = await sql`select * from user_vm_clone_setting`.execute(db)
      assert.deepEqual(rows, [])
      const offering = await db.selectFrom('service_offering').select(['name', 'clone_type']).executeTakeFirstOrThrow()
      assert.deepEqual(offering, { name: 'old', clone_type: null })
      const settings = await loadSettings(db)
      for (const name of ['kvm.create.full.clone', 'vmware.create.full.clone', 'hyperv.create.full.clone'] as const)
        assert.equal(settings.flag(name), false)
    })
  })

  test('machines from before there was a plan of addresses each get an address of their own', async () => {
    await withDatabase(async ({ db }) => {
      await applyFirst(db, 1)
      await sql.raw(machineOfOld(newId<'vm'>())).execute(db)
      await sql
        .raw(`
        insert into network_offering (id, name, display_text, guest_ip_type) values (gen_random_uuid(), 'n', '', 'Isolated');
        insert into network (id, account_id, zone_id, network_offering_id, name, display_text, cidr, gateway, netmask)
          select gen_random_uuid(), account.id, zone.id, o.id, 'default', '', '10.0.2.0/24', '10.0.2.2', '255.255.255.0'
          from account, zone, network_offering o;
        insert into nic (id, vm_id, network_id, device_id, mac, ip_address, is_default)
          select gen_random_uuid(), vm.id, network.id, n, 'mac' || n, '10.0.2.15', n = 0 from vm, network, generate_series(0, 2) n;`)
        .execute(db)
      await migrate(db)
      const nics = await db.selectFrom('nic').select('ip_address').orderBy('ip_address').execute()
      assert.deepEqual(
        nics.map(nic => nic.ip_address),
        ['10.1.0.10', '10.1.0.11', '10.1.0.12'],
      )
    })
  })

  test('machines can be made of VM snapshots from before there were seeds', async () => {
    await withDatabase(async ({ db }) => {
      const older = (await migrations()).findIndex(({ name }) => name.startsWith('0011-'))
      await applyFirst(db, older)
      const [vm, snapshot] = [newId<'vm'>(), newId<'vm-snapshot'>()]
      await sql.raw(machineOfOld(vm) + snapshotOfOld(vm, snapshot)).execute(db)
      await migrate(db)
      const root = await db.transaction().execute(tx => demandDeployable(tx, snapshot))
      assert.deepEqual([root.vm, root.cpus, root.bytes, root.snapshotName], [vm, 1, 7, 'before'])
      assert.equal(await seedOf(db, snapshot, root.pool), undefined)
    })
  })

  test('what something stands on cannot be removed, whatever the code believes', async () => {
    await withDatabase(async ({ db }) => {
      await applyFirst(db, 1)
      await sql.raw(machineOfOld(newId<'vm'>())).execute(db)
      const base = newId<'layer'>()
      const pool = newId<'storage-pool'>()
      await sql
        .raw(`
        insert into cluster (id, pod_id, name, hypervisor) select gen_random_uuid(), id, 'c', 'KVM' from pod;
        insert into storage_pool (id, cluster_id, name, type, path, total_bytes, free_bytes)
          select '${pool}', id, 'p', 'Filesystem', '/p', 1, 1 from cluster;
        insert into layer (id, pool_id, state, virtual_bytes) values ('${base}', '${pool}', 'ready', 1);
        insert into layer (id, pool_id, parent_id, state, virtual_bytes)
          values (gen_random_uuid(), '${pool}', '${base}', 'ready', 1);`)
        .execute(db)
      await assert.rejects(db.deleteFrom('layer').where('id', '=', base).execute(), /violates foreign key/)
    })
  })
}

async function applyFirst(db: Connection['db'], count: number): Promise<void> {
  await db.transaction().execute(async tx => {
    await sql`create table migration (name text primary key, applied timestamptz not null default now())`.execute(tx)
    for (const migration of (await migrations()).slice(0, count)) await apply(tx, migration)
  })
}

/** Tables, columns, constraints, indexes, triggers and functions, in an order of their own. */
async function shapeOf(db: Connection['db']): Promise<unknown> {
  const queries = [
    `select table_name, column_name, data_type, is_nullable, column_default, is_identity from information_schema.columns
      where table_schema = 'public' order by 1, 2`,
    `select conrelid::regclass::text as on_table, pg_get_constraintdef(oid) as definition from pg_constraint
      where connamespace = 'public'::regnamespace order by 1, 2`,
    `select tablename, indexdef from pg_indexes where schemaname = 'public' order by 1, 2`,
    `select tgrelid::regclass::text as on_table, pg_get_triggerdef(oid) as definition from pg_trigger
      where not tgisinternal order by 1, 2`,
    `select proname, prosrc from pg_proc where pronamespace = 'public'::regnamespace order by 1`,
  ]
  return Promise.all(queries.map(async query => (await sql.raw(query).execute(db)).rows))
}

function machineOfOld(vm: string): string {
  return `
    insert into domain (id, name, path, level) values (gen_random_uuid(), 'ROOT', '/', 0);
    insert into account (id, domain_id, name, type) select gen_random_uuid(), id, 'admin', 'Admin' from domain;
    insert into zone (id, name, network_type, dns1, internal_dns1) values (gen_random_uuid(), 'z', 'Advanced', '', '');
    insert into pod (id, zone_id, name) select gen_random_uuid(), id, 'p' from zone;
    insert into service_offering (id, name, display_text, cpus, cpu_mhz, memory_mib) values (gen_random_uuid(), 'old', '', 1, 1, 1);
    insert into vm (id, account_id, zone_id, service_offering_id, hypervisor, name, display_name, instance_name, state, cpus,
        cpu_mhz, memory_mib, generation_id)
      select '${vm}', account.id, zone.id, service_offering.id, 'KVM', 'old', 'old', 'i-1', 'Stopped', 1, 1, 1, gen_random_uuid()
      from account, zone, service_offering;`
}

/** Of a machine of one disk. */
function snapshotOfOld(vm: string, snapshot: string): string {
  const [layer, volume] = [newId(), newId()]
  return `
    insert into cluster (id, pod_id, name, hypervisor) select gen_random_uuid(), id, 'c', 'KVM' from pod;
    insert into storage_pool (id, cluster_id, name, type, path, total_bytes, free_bytes)
      select gen_random_uuid(), id, 'p', 'Filesystem', '/p', 1, 1 from cluster;
    insert into layer (id, pool_id, account_id, state, virtual_bytes)
      select '${layer}', storage_pool.id, account.id, 'ready', 7 from storage_pool, account;
    insert into volume (id, account_id, zone_id, pool_id, vm_id, device_id, name, type, state, size_bytes)
      select '${volume}', vm.account_id, vm.zone_id, storage_pool.id, vm.id, 0, 'ROOT-1', 'ROOT', 'Ready', 7 from vm, storage_pool;
    insert into vm_snapshot (id, vm_id, account_id, service_offering_id, name, display_name, type, state, cpus, cpu_mhz, memory_mib)
      select '${snapshot}', id, account_id, service_offering_id, 'i', 'before', 'Disk', 'Ready', 1, 1, 1 from vm where id = '${vm}';
    insert into vm_snapshot_disk (snapshot_id, volume_id, layer_id, device_id, size_bytes)
      values ('${snapshot}', '${volume}', '${layer}', 0, 7);`
}
