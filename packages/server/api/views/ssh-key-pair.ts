// An SSH key on the wire: `sshkeypair` in lists, `keypair` when it is made or registered.
import type { Row } from '../../store/tables.ts'
import { type Field, string, view } from '../view.ts'

export type ListedKeyPair = Omit<Row<'ssh_key_pair'>, 'public_key' | 'created'> & {
  readonly account_name: string
  readonly domain_id: string
  readonly domain_name: string
}

const fields: Record<string, Field<ListedKeyPair>> = {
  id: string('the id of the key', key => key.id),
  name: string('its name', key => key.name),
  fingerprint: string('MD5 fingerprint of the public key', key => key.fingerprint),
  account: string('the account that owns it', key => key.account_name),
  domainid: string('the domain of that account', key => key.domain_id),
  domain: string('the name of that domain', key => key.domain_name),
}

export const sshKeyPairView = view('sshkeypair', fields)

export const keyPairView = view('keypair', fields)

export const newKeyPairView = view<ListedKeyPair & { readonly privateKey: string }>('keypair', {
  ...fields,
  privatekey: string('the private key; it is told once and not kept', key => key.privateKey),
})
