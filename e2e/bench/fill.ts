// Fills a simulated cloud with copies of one machine of its own: rows as its deployment wrote them, and what the simulated
// hypervisor would hold. Deploying so many would take minutes and measure something else.
import { appendFile } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { journalIn } from '@ramet/server/drivers/simulated/journal.ts'
import { databaseUrl } from '@ramet/server/postgres/start-postgres.ts'
import { connect, type Database } from '@ramet/server/store/database.ts'
import { sql } from 'kysely'

const atOnce = 5000
const numbersFrom = 1_000_000

interface Copy {
  readonly n: number
  readonly vm: string
  readonly volume: string
  readonly layer: string
  readonly nic: string
}

export async function fill(directory: string, count: number): Promise<void> {
  const { db, close } = connect(databaseUrl(directory), () => {}, 2)
  try {
    for (let from = 1; from <= count; from += atOnce)
      await copyMachine(db, directory, copies(from, Math.min(atOnce, count + 1 - from)))
    await sql`analyze`.execute(db)
  } finally {
    await close()
  }
}

function copies(from: number, count: number): Copy[] {
  return Array.from({ length: count }, (_, index) => ({
    n: numbersFrom + from + index,
    vm: randomUUID(),
    volume: randomUUID(),
    layer: randomUUID(),
    nic: randomUUID(),
  }))
}

async function copyMachine(db: Database, directory: string, made: readonly Copy[]): Promise<void> {
  const model = await db
    .selectFrom('vm')
    .innerJoin('volume', 'volume.vm_id', 'vm.id')
    .innerJoin('layer', 'layer.id', 'volume.layer_id')
    .select(['vm.id', 'vm.host_id', 'layer.pool_id', 'layer.parent_id', 'layer.virtual_bytes', 'layer.allocated_bytes'])
    .where('vm.state', '=', 'Running')
    .orderBy('vm.number')
    .executeTakeFirstOrThrow()
  const rows = JSON.stringify(made)
  const copied = (table: string, changes: string, of: string) =>
    sql
      .raw(
        `insert into ${table} overriding system value
         select (jsonb_populate_record(null::${table}, to_jsonb(m) || ${changes})).*
         from ${table} m, jsonb_to_recordset($$${rows}$$::jsonb) c(n int, vm uuid, volume uuid, layer uuid, nic uuid)
         where ${of}`,
      )
      .execute(db)
  const ofModel = `m.vm_id = '${model.id}'`
  await copied(
    'vm',
    `jsonb_build_object('id', c.vm, 'number', c.n, 'name', 'fill-' || c.n, 'display_name', 'fill-' || c.n,
      'instance_name', 'i-2-' || c.n || '-VM', 'generation_id', gen_random_uuid())`,
    `m.id = '${model.id}'`,
  )
  await copied(
    'layer',
    `jsonb_build_object('id', c.layer)`,
    `m.id = (select layer_id from volume where vm_id = '${model.id}')`,
  )
  await copied(
    'volume',
    `jsonb_build_object('id', c.volume, 'vm_id', c.vm, 'layer_id', c.layer, 'number', c.n, 'name', 'ROOT-' || c.n)`,
    ofModel,
  )
  await copied('user_vm_clone_setting', `jsonb_build_object('id', c.n, 'vm_id', c.vm)`, ofModel)
  await copied(
    'nic',
    `jsonb_build_object('id', c.nic, 'vm_id', c.vm, 'mac', '52:54:' || regexp_replace(lpad(to_hex(c.n), 8, '0'), '(..)(..)(..)(..)', '\\1:\\2:\\3:\\4'),
      'ip_address', (select end_ip - (c.n - ${numbersFrom}) from network where id = m.network_id))`,
    ofModel,
  )
  const { pool_id: pool, parent_id: base, virtual_bytes: virtualBytes, allocated_bytes: allocatedBytes } = model
  const lines = made.flatMap(({ vm, layer, nic }) => [
    { layer: { id: layer, pool, base, virtualBytes, allocatedBytes } },
    { machine: { vm, host: model.host_id, power: 'on', sshPorts: { [nic]: 22_000 }, disks: { 0: layer }, cd: null } },
  ])
  await appendFile(journalIn(directory), lines.map(line => `${JSON.stringify(line)}\n`).join(''))
}
