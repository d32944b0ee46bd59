package microsnoop;

import java.io.Closeable;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Arrays as .npy files, the way they travel between ImageJ and the engine. */
final class Npy implements Closeable {
    private static final int CHUNK = 1 << 16;
    private static final Pattern HEADER =
            Pattern.compile("'descr': *'([^']+)'.*'fortran_order': *False.*'shape': *\\(([^)]*)\\)", Pattern.DOTALL);

    private final FileOutputStream file;
    private final FileChannel channel;
    private final ByteBuffer buffer = ByteBuffer.allocate(CHUNK * 4).order(ByteOrder.LITTLE_ENDIAN);

    /** A file to be filled; kind as in NumPy, for example "u1", "u2", "i4", "f4". */
    Npy(File path, String kind, long... shape) throws IOException {
        StringBuilder lengths = new StringBuilder();
        for (long length : shape) {
            lengths.append(length).append(", ");
        }
        String dict = "{'descr': '" + (kind.endsWith("1") ? "|" : "<") + kind + "', 'fortran_order': False, 'shape': ("
                + lengths + "), }";
        char[] space = new char[64 - (10 + dict.length() + 1) % 64];
        Arrays.fill(space, ' ');
        byte[] header = (dict + new String(space) + "\n").getBytes(StandardCharsets.US_ASCII);
        file = new FileOutputStream(path);
        channel = file.getChannel();
        buffer.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0}).putShort((short) header.length).put(header);
        flush();
    }

    void bytes(byte[] values) throws IOException {
        channel.write(ByteBuffer.wrap(values));
    }

    void shorts(short[] values) throws IOException {
        for (int start = 0; start < values.length; start += CHUNK) {
            int count = Math.min(CHUNK, values.length - start);
            buffer.asShortBuffer().put(values, start, count);
            buffer.position(count * 2);
            flush();
        }
    }

    void ints(int[] values) throws IOException {
        for (int start = 0; start < values.length; start += CHUNK) {
            int count = Math.min(CHUNK, values.length - start);
            buffer.asIntBuffer().put(values, start, count);
            buffer.position(count * 4);
            flush();
        }
    }

    void floats(float[] values) throws IOException {
        for (int start = 0; start < values.length; start += CHUNK) {
            int count = Math.min(CHUNK, values.length - start);
            buffer.asFloatBuffer().put(values, start, count);
            buffer.position(count * 4);
            flush();
        }
    }

    private void flush() throws IOException {
        buffer.flip();
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
        buffer.clear();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    /** A two-dimensional float32 array, row by row; a one-dimensional array has rows of length 1. */
    static float[][] readFloats(File path) throws IOException {
        int[] width = new int[1];
        ByteBuffer data = read(path, "<f4", width);
        float[][] rows = new float[data.remaining() / 4 / width[0]][width[0]];
        for (float[] row : rows) {
            data.asFloatBuffer().get(row);
            data.position(data.position() + 4 * row.length);
        }
        return rows;
    }

    /** As readFloats, of int32. */
    static int[][] readInts(File path) throws IOException {
        int[] width = new int[1];
        ByteBuffer data = read(path, "<i4", width);
        int[][] rows = new int[data.remaining() / 4 / width[0]][width[0]];
        for (int[] row : rows) {
            data.asIntBuffer().get(row);
            data.position(data.position() + 4 * row.length);
        }
        return rows;
    }

    /** A one-dimensional array of booleans. */
    static boolean[] readBooleans(File path) throws IOException {
        ByteBuffer data = read(path, "|b1", new int[1]);
        boolean[] values = new boolean[data.remaining()];
        for (int i = 0; i < values.length; i++) {
            values[i] = data.get() != 0;
        }
        return values;
    }

    private static ByteBuffer read(File path, String kind, int[] width) throws IOException {
        ByteBuffer data;
        try (FileInputStream in = new FileInputStream(path)) {
            data = ByteBuffer.allocate((int) Math.min(path.length(), Integer.MAX_VALUE - 8));
            FileChannel channel = in.getChannel();
            while (data.hasRemaining() && channel.read(data) >= 0) {
                continue;
            }
        }
        data.flip();
        data.order(ByteOrder.LITTLE_ENDIAN);
        int start = data.get(6) == 1 ? 10 : 12;
        int length = data.get(6) == 1 ? data.getShort(8) & 0xffff : data.getInt(8);
        Matcher header = HEADER.matcher(new String(data.array(), start, length, StandardCharsets.ISO_8859_1));
        if (!header.find() || !header.group(1).equals(kind)) {
            throw new IOException(path + " is not an array of " + kind);
        }
        String[] shape = header.group(2).split(",");
        width[0] = shape.length > 1 && !shape[1].trim().isEmpty() ? Integer.parseInt(shape[1].trim()) : 1;
        data.position(start + length);
        return data;
    }
}
