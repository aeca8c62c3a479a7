import { recordEvent } from '../../store/events.ts'
import { plainCommand } from '../command.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { invalid, text } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteSSHKeyPair = plainCommand({
  name: 'deleteSSHKeyPair',
  description: 'Forgets an SSH key; machines that have it keep it',
  permission: 'user',
  params: {
    name: text('name of the key').must,
    ...ownerParameters,
  },
  answer: successView,
  async run({ app, caller, params }) {
    const owner = await ownerOf(app, caller, params)
    return app.db.transaction().execute(async tx => {
      const key = await tx
        .deleteFrom('ssh_key_pair')
        .where('account_id', '=', owner.id)
        .where('name', '=', params.name)
        .returning('id')
        .executeTakeFirst()
      if (!key) throw invalid('name', `names no SSH key of account ${owner.name}: there is no "${params.name}"`)
      await recordEvent(tx, {
        type: 'DELETE.SSH.KEYPAIR',
        description: `removed SSH key ${params.name}`,
        account: owner.id,
        user: caller.user.id,
        resourceType: 'SSHKeyPair',
        resource: key.id,
      })
      return { success: true }
    })
  },
})
