// A management server on the wire.
import { date, string, view } from '../view.ts'

export interface ListedServer {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly version: string
  readonly started: Date
}

export const managementServerView = view<ListedServer>('managementserver', {
  id: string('the id of the server', server => server.id),
  name: string('the name of its machine', server => server.name),
  state: string('Up or Down', () => 'Up'),
  version: string('the CloudStack version whose API it speaks', server => server.version),
  ipaddress: string('the address it listens on', server => server.address),
  serviceip: string('the address it listens on', server => server.address),
  lastserverstart: date('when it was started', server => server.started),
})
