import { objectCommand } from '../command.ts'
import { keepPublicKey } from '../key-pairs.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { longText, text } from '../parameters.ts'
import { readPublicKey } from '../ssh-keys.ts'
import { keyPairView } from '../views/ssh-key-pair.ts'

export const registerSSHKeyPair = objectCommand({
  name: 'registerSSHKeyPair',
  description: 'Registers the public key of an SSH key pair, for deploying machines with it',
  permission: 'user',
  params: {
    name: text('name of the key').must,
    publickey: longText('public key, as in id_ed25519.pub', 5120).must,
    ...ownerParameters,
  },
  view: keyPairView,
  async run({ app, caller, params }) {
    const key = readPublicKey('publickey', params.publickey)
    return keepPublicKey(app, caller, await ownerOf(app, caller, params), params.name, key)
  },
})
