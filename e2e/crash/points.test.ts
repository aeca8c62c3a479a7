// The short form, for every run. points.slow.test.ts is the long one.
import { crashSuite } from './suite.ts'

crashSuite('the worst moments')
