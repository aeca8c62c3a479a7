// updateTemplate and updateIso: what may be changed of an image once it is registered. Machines made from it stay as they are.
import type { App } from '../app.ts'
import { type ListedTemplate, listedTemplate } from '../store/template-list.ts'
import { setTemplate } from '../store/templates.ts'
import type { Caller } from './caller.ts'
import { changing } from './changing.ts'
import { flag, id, label, type Values } from './parameters.ts'
import { demandOsType } from './new-template.ts'
import { type ImageKind, imageOfCall } from './template-call.ts'

export const imageUpdateParameters = {
  id: id<'template'>('the one to change').must,
  name: label('new name'),
  displaytext: label('new description'),
  ostypeid: id<'os-type'>('the guest operating system'),
  bootable: flag('machines can start from it'),
}

type Given = Values<typeof imageUpdateParameters> & {
  readonly passwordenabled?: boolean | undefined
  readonly sshkeyenabled?: boolean | undefined
}

export async function updateImage(app: App, caller: Caller, kind: ImageKind, given: Given): Promise<ListedTemplate> {
  const image = await imageOfCall(app, caller, given.id, kind)
  if (given.ostypeid) await demandOsType(app, given.ostypeid)
  return changing({ app, caller }, async (tx, tell) => {
    await setTemplate(tx, image.id, {
      name: given.name ?? image.name,
      display_text: given.displaytext,
      os_type_id: given.ostypeid,
      bootable: given.bootable,
      password_enabled: given.passwordenabled,
      ssh_key_enabled: given.sshkeyenabled,
    })
    const type = kind === 'iso' ? 'ISO.UPDATE' : 'TEMPLATE.UPDATE'
    await tell({ type, description: `changed ${kind} ${image.name}`, resourceType: 'Template', resource: image.id })
    return (await listedTemplate(tx, image.id)) as ListedTemplate
  })
}
