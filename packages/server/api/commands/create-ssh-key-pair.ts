import { objectCommand } from '../command.ts'
import { keepPublicKey } from '../key-pairs.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { text } from '../parameters.ts'
import { makeKeyPair } from '../ssh-keys.ts'
import { newKeyPairView } from '../views/ssh-key-pair.ts'

export const createSSHKeyPair = objectCommand({
  name: 'createSSHKeyPair',
  description: 'Makes an SSH key pair, keeps the public key and tells the private one, once',
  permission: 'user',
  params: {
    name: text('name of the key').must,
    ...ownerParameters,
  },
  view: newKeyPairView,
  async run({ app, caller, params }) {
    const owner = await ownerOf(app, caller, params)
    const { privateKey, ...key } = await makeKeyPair(params.name)
    return { ...(await keepPublicKey(app, caller, owner, params.name, key)), privateKey }
  },
})
