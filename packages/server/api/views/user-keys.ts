// API keys on the wire.
import { string, view } from '../view.ts'

export interface UserKeys {
  readonly apiKey: string | null
  readonly secretKey: string | null
}

export const userKeysView = view<UserKeys>('userkeys', {
  apikey: string('names the user in a signed call', keys => keys.apiKey),
  secretkey: string('signs the calls; keep it to yourself', keys => keys.secretKey),
})
