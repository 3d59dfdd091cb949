/* Answers as gathered writes; see output.h. */
#include "face/kafka/output.h"

/* The piece at `at`, and *at behind it. False at the end. Empty pieces are passed over. */
struct piece {
    struct ms_bytes bytes;
    struct ms_slice *slice; /* NULL: of the head */
};

static bool next_piece(const struct ms_kafka_output *output, struct ms_kafka_sending *at,
                       struct piece *ret_piece) {
    for (;;) {
        const struct ms_kafka_cut *cut =
            at->cut < output->cut_count ? &output->cuts[at->cut] : NULL;
        size_t end = cut ? cut->at : output->head.len;
        if (at->head_at < end) {
            *ret_piece = (struct piece){{output->head.data + at->head_at, end - at->head_at}, NULL};
            at->head_at = end;
            return true;
        }
        if (!cut)
            return false;
        if (at->slice == cut->records->slice_count) {
            at->cut++;
            at->slice = 0;
            continue;
        }
        struct ms_slice *slice = &cut->records->slices[at->slice];
        *ret_piece = (struct piece){
            {slice->bytes.data + at->slice_at, slice->bytes.len - at->slice_at}, slice};
        at->slice++;
        at->slice_at = 0;
        if (ret_piece->bytes.len)
            return true;
    }
}

size_t ms_kafka_output_bytes(const struct ms_kafka_output *output) {
    return output->head.len + output->slice_bytes;
}

int ms_kafka_output_pieces(const struct ms_kafka_output *output,
                           const struct ms_kafka_sending *sending, struct iovec *iov, int max) {
    struct ms_kafka_sending at = *sending;
    struct piece piece;
    int count = 0;
    while (count < max && next_piece(output, &at, &piece)) {
        iov[count].iov_base = (void *)piece.bytes.data;
        iov[count].iov_len = piece.bytes.len;
        count++;
    }
    return count;
}

size_t ms_kafka_output_sent(struct ms_kafka_output *output, struct ms_kafka_sending *sending,
                            size_t len) {
    size_t left = len;
    while (left) {
        struct ms_kafka_sending before = *sending;
        struct piece piece;
        if (!next_piece(output, sending, &piece))
            break;
        if (piece.bytes.len <= left) {
            left -= piece.bytes.len;
            if (piece.slice)
                ms_slice_unref(piece.slice);
            continue;
        }
        if (piece.slice) { /* back to this slice, a part further */
            sending->slice--;
            sending->slice_at =
                (sending->cut == before.cut && sending->slice == before.slice ? before.slice_at
                                                                              : 0) +
                left;
        } else {
            sending->head_at -= piece.bytes.len - left;
        }
        left = 0;
    }
    return len - left;
}
