import type { IncomingMessage } from 'node:http';
import { Controller, Get, Req, ServiceUnavailableException } from '@nestjs/common';

export interface CarrierStatus {
  readonly delayedDepots: readonly string[];
}

/** Stands in for a carrier, with the reliability of one: some calls fail, some get no answer at all. */
@Controller('partners/carrier')
export class CarrierController {
  #calls = 0;

  @Get()
  status(@Req() request: Pick<IncomingMessage, 'socket'>): CarrierStatus {
    const call = ++this.#calls;
    if (call % 4 === 0) throw new ServiceUnavailableException();
    if (call % 6 === 0) request.socket.destroy();
    return { delayedDepots: call % 20 < 10 ? ['HAM'] : ['HAM', 'BRE'] };
  }
}
