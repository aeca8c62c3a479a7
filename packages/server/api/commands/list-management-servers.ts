import { hostname } from 'node:os'
import { performance } from 'node:perf_hooks'
import { listCommand } from '../command.ts'
import { cloudstackVersion } from '../envelope.ts'
import { text } from '../parameters.ts'
import { pageOfAll } from '../query.ts'
import { managementServerView } from '../views/management-server.ts'

export const listManagementServers = listCommand({
  name: 'listManagementServers',
  description: 'Lists the management server that answers',
  permission: 'admin',
  params: {
    id: text('the server'),
    name: text('exact name'),
  },
  view: managementServerView,
  run: async ({ app, params, page }) => {
    const self = {
      id: app.jobs.serverId,
      name: hostname(),
      address: app.config.listen.host,
      version: cloudstackVersion,
      started: new Date(performance.timeOrigin),
    }
    const isWanted = (params.id ?? self.id) === self.id && (params.name ?? self.name) === self.name
    return pageOfAll(isWanted ? [self] : [], page)
  },
})
