// The contract that every driver keeps, on real QEMU.
import { driverContract } from '../contract.ts'
import { aQemuDriver } from './a-driver.ts'

driverContract('qemu', aQemuDriver)
