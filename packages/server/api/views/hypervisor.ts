// A kind of hypervisor on the wire.
import { string, view } from '../view.ts'

export const hypervisorView = view<{ readonly hypervisor: string }>('hypervisor', {
  name: string('the name of the hypervisor', ({ hypervisor }) => hypervisor),
})
