/* First in the chain: the shop becomes the key; the event passes as it came. */
#include "sdk/weir.h"

void weir_process(const weir_message *message, weir_result *result) {
    weir_set_key(weir_emit(result), weir_token(message, 1));
}
