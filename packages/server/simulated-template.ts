// The template that a simulated cloud begins with, so that machines can be deployed at once. Its file is a note: the simulated
// hypervisor takes any image for a disk of 1 GiB.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type AccountId, type Id, newId, type TemplateId, type ZoneId } from '@ramet/core/ids.ts'
import type { Tx } from './store/database.ts'
import { writeWhole } from './write-whole.ts'

const virtualBytes = 2 ** 30
const physicalBytes = 64 * 2 ** 20

function pathOf(template: TemplateId): string {
  return `templates/${template}.qcow2`
}

export async function writeSimulatedImage(secondary: string): Promise<TemplateId> {
  const template = newId<'template'>()
  await mkdir(join(secondary, 'templates'), { recursive: true, mode: 0o711 })
  await writeWhole(join(secondary, pathOf(template)), 'The image of a template of a simulated cloud\n')
  return template
}

export async function makeSimulatedTemplate(
  tx: Tx,
  id: TemplateId,
  { account, zone, store }: { account: AccountId; zone: ZoneId; store: Id<'image-store'> },
): Promise<void> {
  await tx
    .insertInto('template')
    .values({
      id,
      account_id: account,
      zone_id: zone,
      name: 'simulated',
      display_text: 'A template of the simulated cloud',
      format: 'QCOW2',
      hypervisor: 'Simulator',
      url: 'simulated://template',
      state: 'Active',
      download_state: 'DOWNLOADED',
      download_percent: 100,
      image_store_id: store,
      install_path: pathOf(id),
      virtual_bytes: virtualBytes,
      physical_bytes: physicalBytes,
      is_public: true,
      is_featured: true,
      is_extractable: false,
      password_enabled: false,
      ssh_key_enabled: true,
    })
    .execute()
}
