// What the commands on one template or one ISO have in common: both are rows of one table, told apart by their format.
import type { TemplateId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, demandOwned, isAdmin, unknownId } from './caller.ts'

export type ImageKind = 'template' | 'iso'

export function kindOfImage({ format }: Pick<Row<'template'>, 'format'>): ImageKind {
  return format === 'ISO' ? 'iso' : 'template'
}

/** The template or ISO that parameter `id` names, if the caller owns it. */
export async function imageOfCall(app: App, caller: Caller, id: TemplateId, kind: ImageKind): Promise<Row<'template'>> {
  const row = await app.db.selectFrom('template').selectAll().where('id', '=', id).executeTakeFirst()
  const image = await demandOwned(app, caller, row, 'id', id)
  if (image.removed || kindOfImage(image) !== kind) throw unknownId('id', id)
  return image
}

export function demandExtractable(caller: Caller, { name, is_extractable }: Row<'template'>): void {
  if (is_extractable || isAdmin(caller)) return
  throw new Problem(
    'forbidden',
    'not-extractable',
    `${name} was registered as not extractable; only administrators may download it`,
  )
}
