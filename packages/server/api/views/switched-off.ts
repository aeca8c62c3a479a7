// The answer to "is it there?" about parts of CloudStack that are not.
import { boolean, view } from '../view.ts'

export const quotaView = view<boolean>('isenabled', { isenabled: boolean('whether quota is on', on => on) })

export const cloudianView = view<boolean>('cloudianisenabled', { enabled: boolean('whether Cloudian is on', on => on) })
