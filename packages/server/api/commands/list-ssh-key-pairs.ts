import { listCommand } from '../command.ts'
import { selectKeyPairs } from '../key-pairs.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { sshKeyPairView } from '../views/ssh-key-pair.ts'

export const listSSHKeyPairs = listCommand({
  name: 'listSSHKeyPairs',
  description: 'Lists SSH keys',
  permission: 'user',
  params: {
    ...ownershipParameters,
    id: id<'ssh-key-pair'>('the key'),
    name: text('exact name'),
    fingerprint: text('exact MD5 fingerprint'),
  },
  view: sshKeyPairView,
  run: ({ app, caller, params, page }) => {
    let keys = selectKeyPairs(app.db).orderBy('ssh_key_pair.name').orderBy('ssh_key_pair.id')
    keys = narrowToOwner(keys, 'ssh_key_pair.account_id', caller, params)
    keys = narrowTo(keys, {
      'ssh_key_pair.id': params.id,
      'ssh_key_pair.name': params.name,
      'ssh_key_pair.fingerprint': params.fingerprint,
    })
    if (page.keyword) keys = keys.where('ssh_key_pair.name', 'ilike', containing(page.keyword))
    return pageOf(keys, page)
  },
})
