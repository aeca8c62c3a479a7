// What the hypervisor itself shall do to a clone's guest, where it can: the operating system says which way, as the template or the
// machine has it. Where neither says, the guest is left to itself.
import type { VmId } from '@ramet/core/ids.ts'
import type { Customize } from '../drivers/forest.ts'
import type { Db } from '../store/database.ts'

export async function customizeOf(db: Db, vm: VmId, password: () => string | null): Promise<Customize | null> {
  const row = await db
    .selectFrom('vm')
    .leftJoin('template', 'template.id', 'vm.template_id')
    .innerJoin('os_type', join =>
      join.on(eb => eb('os_type.id', '=', eb.fn.coalesce('vm.os_type_id', 'template.os_type_id'))),
    )
    .innerJoin('os_category', 'os_category.id', 'os_type.category_id')
    .select(['os_type.description', 'os_category.name as category'])
    .where('vm.id', '=', vm)
    .executeTakeFirst()
  if (!row) return null
  if (row.category === 'Windows') return { os: 'windows', password: password() }
  return /linux|debian|ubuntu/i.test(`${row.category} ${row.description}`) ? { os: 'linux', password: null } : null
}
