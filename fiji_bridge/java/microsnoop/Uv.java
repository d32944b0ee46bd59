package microsnoop;

import ij.IJ;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLConnection;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** The program uv, which makes Python environments without a Python: found, or downloaded from its releases. */
final class Uv {
    static final String RELEASES = "https://github.com/astral-sh/uv/releases/latest/download";
    private static final int BLOCK = 512;
    private static final int TIMEOUT = 60000;

    private Uv() {}

    /** @return the program on the path or in the folder; null if there is none */
    static File find(File folder) {
        File own = new File(folder, name());
        return own.canExecute() ? own : EngineFinder.program("uv");
    }

    private static String name() {
        return IJ.isWindows() ? "uv.exe" : "uv";
    }

    /**
     * Downloads uv into a folder; the release's checksum is checked.
     *
     * @param releases address of the folder of the release's files
     */
    static File download(String releases, File folder) throws Problem {
        String archive = archive(System.getProperty("os.name"), System.getProperty("os.arch"));
        File target = new File(folder, name());
        File part = new File(folder, name() + ".part");
        try {
            byte[] data = read(releases + "/" + archive);
            String sum = new String(read(releases + "/" + archive + ".sha256"), StandardCharsets.US_ASCII).trim();
            if (!sum.split("\\s+")[0].equalsIgnoreCase(sha256(data))) {
                throw new Problem("The download of uv is damaged: its checksum differs. Run the command again.");
            }
            Files.createDirectories(folder.toPath());
            boolean found = archive.endsWith(".zip") ? unzip(data, part) : untar(data, part);
            if (!found || !part.setExecutable(true) || !part.renameTo(target)) {
                throw new Problem("The program uv could not be unpacked into \"" + folder + "\". May you write there?");
            }
            return target;
        } catch (IOException e) {
            String missing = e instanceof FileNotFoundException ? "there is no " : "";
            throw new Problem("The program uv could not be downloaded: " + missing + e.getMessage() + ".\nWhat to do: is this "
                    + "computer online? Or install Python 3.10 to 3.13 from python.org, and run the command again.");
        } finally {
            part.delete();
        }
    }

    /** The release file for an operating system and processor, as Java names them. */
    static String archive(String system, String processor) throws Problem {
        String os = system.toLowerCase(Locale.ROOT);
        String cpu = processor.toLowerCase(Locale.ROOT);
        boolean arm = cpu.equals("aarch64") || cpu.equals("arm64");
        if (!arm && !cpu.equals("amd64") && !cpu.equals("x86_64")) {
            throw new Problem("There is no uv for the processor \"" + processor + "\": install Python 3.10 to 3.13 from "
                    + "python.org, and run the command again.");
        }
        String kind = arm ? "aarch64" : "x86_64";
        if (os.startsWith("windows")) {
            return "uv-" + kind + "-pc-windows-msvc.zip";
        }
        return "uv-" + kind + (os.startsWith("mac") ? "-apple-darwin" : "-unknown-linux-musl") + ".tar.gz";
    }

    private static byte[] read(String address) throws IOException {
        URLConnection connection = new URL(address).openConnection();
        connection.setConnectTimeout(TIMEOUT);
        connection.setReadTimeout(TIMEOUT);
        long length = connection.getContentLengthLong();
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        try (InputStream in = connection.getInputStream()) {
            byte[] buffer = new byte[1 << 16];
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                data.write(buffer, 0, count);
                IJ.showProgress(length > 0 ? (double) data.size() / length : 0);
            }
        }
        IJ.showProgress(1.0);
        return data.toByteArray();
    }

    private static String sha256(byte[] data) throws IOException {
        try {
            StringBuilder text = new StringBuilder();
            for (byte value : MessageDigest.getInstance("SHA-256").digest(data)) {
                text.append(String.format(Locale.ROOT, "%02x", value));
            }
            return text.toString();
        } catch (NoSuchAlgorithmException e) {
            throw new IOException(e);
        }
    }

    private static boolean unzip(byte[] data, File target) throws IOException {
        try (ZipInputStream in = new ZipInputStream(new ByteArrayInputStream(data))) {
            for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                if (new File(entry.getName()).getName().equals(name())) {
                    Files.copy(in, target.toPath(), StandardCopyOption.REPLACE_EXISTING);
                    return true;
                }
            }
        }
        return false;
    }

    /** A tar file is a header of 512 bytes for each file, followed by its bytes, filled up to whole blocks. */
    private static boolean untar(byte[] data, File target) throws IOException {
        try (DataInputStream in = new DataInputStream(new GZIPInputStream(new ByteArrayInputStream(data)))) {
            byte[] header = new byte[BLOCK];
            for (in.readFully(header); header[0] != 0; in.readFully(header)) {
                String name = text(header, 0, 100);
                long size = Long.parseLong(text(header, 124, 12).trim(), 8);
                byte[] content = new byte[(int) size];
                in.readFully(content);
                in.readFully(new byte[(int) (-size & (BLOCK - 1))]);
                if (header[156] != '5' && new File(name).getName().equals(name())) {
                    try (OutputStream out = Files.newOutputStream(target.toPath())) {
                        out.write(content);
                    }
                    return true;
                }
            }
        }
        return false;
    }

    private static String text(byte[] header, int start, int length) {
        int end = start;
        while (end < start + length && header[end] != 0) {
            end++;
        }
        return new String(header, start, end - start, StandardCharsets.US_ASCII);
    }
}
