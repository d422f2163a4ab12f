/** A payload that is bytes already, as they are to be stored. */
export class EncodedPayload {
  constructor(readonly bytes: Uint8Array | undefined) {}
}
