import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apposed.appose.Appose;
import org.apposed.appose.NDArray;
import org.apposed.appose.Service;
import org.apposed.appose.Service.Task;

/** Drives the worker as a Java program with Appose does: arguments are a folder, then the command of the worker. */
public final class ApposeClient {
    private static final int SIDE = 300;
    private static final int LARGE = 3000;

    public static void main(String[] args) throws Exception {
        Path folder = Paths.get(args[0]);
        String[] rest = Arrays.copyOfRange(args, 2, args.length);
        NDArray image = shared(NDArray.DType.UINT16, folder.resolve("image.raw"), SIDE, SIDE);
        NDArray labels = shared(NDArray.DType.INT32, folder.resolve("labels.raw"), SIDE, SIDE);
        NDArray large = new NDArray(NDArray.DType.UINT16,
                new NDArray.Shape(NDArray.Shape.Order.C_ORDER, 3, LARGE, LARGE));
        fillWithNoise(large.buffer());
        Service service = Appose.system().service(Arrays.asList(args[1]), rest).start();
        System.out.println("dimension " + service.task("info").waitFor().outputs.get("dimension"));

        List<String> blocks = new ArrayList<>();
        for (NDArray array : Arrays.asList(image, labels, large)) {
            blocks.add(array.shm().name());
        }
        List<Task> tasks = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            tasks.add(service.task("measure_objects", inputs("image", image, "labels", labels)).start());
        }
        for (int i = 0; i < 6; i++) {
            Task task = tasks.get(i).waitFor();
            NDArray features = (NDArray) task.outputs.get("features");
            Files.write(folder.resolve("features-" + i + ".raw"), bytes(features.buffer()));
            blocks.add(features.shm().name());
            System.out.println(task.status + " " + features.dType() + " " + features.shape());
        }

        Task cancelled = service.task("measure_tiles", inputs("image", large));
        cancelled.listen(event -> {
            if (event.maximum > 0) {
                cancelled.cancel();
            }
        });
        System.out.println("cancelled: " + cancelled.start().waitFor().status);
        System.out.println("refused: " + failure(service));

        Task last = service.task("measure_tiles", inputs("image", large));
        Object lock = new Object();
        last.listen(event -> {
            synchronized (lock) {
                lock.notifyAll();
            }
        });
        synchronized (lock) {
            last.start();
            lock.wait();
        }
        service.close();
        System.out.println("closed meanwhile: " + last.waitFor().status
                + (last.error == null ? "" : " " + last.error));
        service.waitFor();
        blocks.add(((NDArray) last.outputs.get("features")).shm().name());
        Files.write(folder.resolve("blocks.txt"), blocks);
        System.out.println("invalid lines: " + service.invalidLines().size());
        image.close();
        labels.close();
        large.close();
    }

    private static String failure(Service service) throws Exception {
        Task task = service.task("measure_objects", new HashMap<>());
        try {
            task.waitFor();
        } catch (Exception e) {
            // the task says so too
        }
        return task.status + " " + task.error;
    }

    private static Map<String, Object> inputs(Object... pairs) {
        Map<String, Object> inputs = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            inputs.put((String) pairs[i], pairs[i + 1]);
        }
        return inputs;
    }

    private static NDArray shared(NDArray.DType type, Path raw, int... shape) throws Exception {
        NDArray array = new NDArray(type, new NDArray.Shape(NDArray.Shape.Order.C_ORDER, shape));
        array.buffer().put(Files.readAllBytes(raw));
        return array;
    }

    private static void fillWithNoise(ByteBuffer buffer) {
        ByteBuffer shorts = buffer.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        int value = 1;
        while (shorts.remaining() >= 2) {
            value = value * 1103515245 + 12345;
            shorts.putShort((short) (value >>> 20));
        }
    }

    private static byte[] bytes(ByteBuffer buffer) {
        ByteBuffer copy = buffer.duplicate();
        copy.rewind();
        byte[] bytes = new byte[copy.remaining()];
        copy.get(bytes);
        return bytes;
    }
}
