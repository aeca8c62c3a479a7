// The record of a new machine: made whole by the call that asks for it, in state Stopped; the deployment does the rest.
import { type AccountId, newId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { type Insertable, sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import { insertNics, type NewNic } from './nics.ts'
import type { Row, Tables } from './tables.ts'

export interface NewVolume {
  readonly id: VolumeId
  readonly type: 'ROOT' | 'DATADISK'
  readonly sizeBytes: number
  readonly diskOffering: Row<'disk_offering'>['id'] | null
  /** Of a clone: the volume that it comes from, and its place. */
  readonly of?: VolumeId
  readonly deviceId?: number
}

export interface NewVm {
  readonly vm: Omit<
    Insertable<Tables['vm']>,
    'account_id' | 'number' | 'name' | 'display_name' | 'instance_name' | 'generation_id' | 'state'
  > & { readonly generation_id?: string }
  readonly account: Pick<Row<'account'>, 'id' | 'number'>
  readonly name: string | undefined
  readonly displayName: string | undefined
  readonly instanceSuffix: string
  readonly nics: readonly NewNic[]
  readonly keys: readonly { readonly name: string; readonly public_key: string }[]
  readonly volumes: readonly NewVolume[]
}

export async function insertVm(tx: Tx, { vm, account, name, displayName, ...rest }: NewVm): Promise<Row<'vm'>> {
  const { rows } = await sql<{ number: number }>`
    select nextval(pg_get_serial_sequence('vm', 'number'))::integer as number`.execute(tx)
  const number = rows[0]?.number as number
  const hostName = name ?? (await freeName(tx, account.id, number))
  const row = await tx
    .with('disks', db => db.insertInto('volume').values(volumeRows(vm, account.id, number, rest.volumes)))
    .insertInto('vm')
    .values({
      ...vm,
      account_id: account.id,
      number,
      name: hostName,
      display_name: displayName || hostName,
      instance_name: `i-${account.number}-${number}-${rest.instanceSuffix}`,
      generation_id: vm.generation_id ?? newId(),
      state: 'Stopped',
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  await insertNics(tx, row, rest.nics)
  if (rest.keys.length > 0)
    await tx
      .insertInto('vm_ssh_key_pair')
      .values(rest.keys.map(key => ({ vm_id: row.id, ...key })))
      .execute()
  return row
}

/** `vm-7` for the seventh machine, unless somebody has named another so. */
async function freeName(tx: Tx, account: AccountId, number: number): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    const name = attempt === 0 ? `vm-${number}` : `vm-${number}-${attempt}`
    await holdName(tx, account, name)
    if (!(await nameTaken(tx, account, name))) return name
  }
}

function volumeRows(vm: NewVm['vm'], account: AccountId, number: number, volumes: readonly NewVolume[]) {
  return volumes.map((volume, index) => ({
    id: volume.id,
    account_id: account,
    zone_id: vm.zone_id,
    vm_id: vm.id,
    template_id: volume.type === 'ROOT' ? vm.template_id : null,
    service_offering_id: volume.type === 'ROOT' ? vm.service_offering_id : null,
    disk_offering_id: volume.diskOffering,
    device_id: volume.deviceId ?? deviceIdAt(index),
    name: `${volume.type === 'ROOT' ? 'ROOT' : 'DATA'}-${number}`,
    type: volume.type,
    state: 'Allocated' as const,
    size_bytes: volume.sizeBytes,
  }))
}

/** Root is 0, data disks follow; 3 is the CD-ROM's (cloudstack-api 2.4). */
function deviceIdAt(index: number): number {
  return index < 3 ? index : index + 1
}

/** Of two calls that want one name at once, the second waits until the first has it or not. */
export async function holdName(tx: Tx, account: AccountId, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`ramet.name ${account} ${name.toLowerCase()}`}, 0))`.execute(
    tx,
  )
}

/** Whether another machine of the account has the name already. */
export async function nameTaken(db: Db, account: AccountId, name: string, except?: VmId): Promise<boolean> {
  const row = await db
    .selectFrom('vm')
    .select('id')
    .where('account_id', '=', account)
    .where('name', 'ilike', name.replaceAll(/[\\%_]/g, '\\$&'))
    .where('removed', 'is', null)
    .where('state', 'not in', ['Destroyed', 'Expunging', 'Error'])
    .$if(except !== undefined, query => query.where('id', '!=', except as VmId))
    .executeTakeFirst()
  return row !== undefined
}
